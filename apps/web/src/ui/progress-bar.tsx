import { cx } from "./cx";

/** `total` null: something is being done, but how much is not known. */
export function ProgressBar({ label, done, total, className }: { label: string; done: number; total: number | null; className?: string }) {
  const fraction = total && total > 0 ? Math.min(1, done / total) : null;
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={total ?? undefined}
      aria-valuenow={fraction === null ? undefined : done}
      className={cx("h-1.5 overflow-hidden rounded-full bg-rule", className)}
    >
      <div
        className={cx("h-full rounded-full bg-accent transition-[width] duration-300", fraction === null && "w-1/3 animate-breathe")}
        style={fraction === null ? undefined : { width: `${Math.round(fraction * 1000) / 10}%` }}
      />
    </div>
  );
}
