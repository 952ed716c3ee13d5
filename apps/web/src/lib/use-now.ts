"use client";

import { useSyncExternalStore } from "react";

/** One clock for the whole page, so that relative times tick together. */
let now = 0;
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const notify of listeners) notify();
  }, 5000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

function snapshot(): number {
  if (timer === undefined || now === 0) now = Math.max(now, Math.floor(Date.now() / 5000) * 5000);
  return now;
}

/** The time in milliseconds, renewed every five seconds; 0 while the page is being exported. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, snapshot, () => 0);
}
