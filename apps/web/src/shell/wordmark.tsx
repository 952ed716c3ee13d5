/** The mark: a discharge between two electrodes, drawn as one stroke through a ring. */
export function Mark({ className, quiet }: { className?: string; quiet?: boolean }) {
  return (
    <svg aria-hidden viewBox="0 0 24 24" className={className} fill="none">
      <circle cx="12" cy="12" r="10.25" stroke="currentColor" strokeWidth="1.5" />
      <path d="M14.6 2.4 9.2 10.6l5.4 2.2-5.2 8.8" stroke={quiet ? "currentColor" : "var(--accent)"} strokeWidth={quiet ? 1.5 : 2} strokeLinejoin="round" strokeLinecap="round" />
    </svg>
  );
}

export function Wordmark() {
  return (
    <span className="inline-flex items-center gap-2.5">
      <Mark className="size-6" />
      <span className="font-serif text-[1.4375rem] leading-none font-medium tracking-[-0.025em]">Plasma</span>
    </span>
  );
}
