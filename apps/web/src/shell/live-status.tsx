"use client";

import { useEffect, useState } from "react";

import { useCan } from "@/features/identity/session";
import { useLive } from "@/live/live-provider";
import { cx } from "@/ui/cx";

/** Whether what is on the screen follows the server by itself. */
export function LiveStatus({ className }: { className?: string }) {
  const { phase, retryAtMs } = useLive();
  const allowed = useCan("events:read");
  const seconds = useSecondsUntil(retryAtMs);
  const text = !allowed
    ? "Updates by polling"
    : phase === "open"
      ? "Live"
      : phase === "waiting"
        ? `Reconnecting${seconds > 0 ? ` in ${seconds} s` : ""}`
        : "Connecting";
  const title = !allowed ? "Your role does not include events:read, so pages ask for news every few seconds instead." : undefined;
  return (
    <span role="status" title={title} data-live={phase} className={cx("inline-flex items-center gap-2 text-[0.8125rem] text-soft", className)}>
      <span aria-hidden className={cx("size-2 rounded-full", phase === "open" ? "bg-good" : allowed ? "animate-breathe bg-warn" : "bg-rule-strong")} />
      {text}
    </span>
  );
}

function useSecondsUntil(atMs: number | null): number {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    if (atMs === null) return;
    const tick = () => setSeconds(Math.max(0, Math.ceil((atMs - Date.now()) / 1000)));
    const first = setTimeout(tick);
    const timer = setInterval(tick, 1000);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, [atMs]);
  return atMs === null ? 0 : seconds;
}
