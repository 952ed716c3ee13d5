import type { ReactNode } from "react";

import { Mark, Wordmark } from "@/shell/wordmark";

/** A page outside of the workspace's frame: one thing to read and to decide. */
export function PlainPage({ children }: { children: ReactNode }) {
  return (
    <main className="grid min-h-dvh content-center bg-sunken px-4 py-10 sm:px-6">
      <div className="mx-auto w-full max-w-lg">
        <div className="mb-6 flex justify-center"><Wordmark /></div>
        <div className="rounded-[10px] border border-rule bg-paper p-5 shadow-float sm:p-8">{children}</div>
      </div>
    </main>
  );
}

export function PlainLoading() {
  return (
    <main aria-busy className="grid min-h-dvh place-items-center">
      <span role="status" aria-label="Loading"><Mark className="size-9 animate-breathe text-rule-strong" /></span>
    </main>
  );
}
