"use client";

import { useSyncExternalStore } from "react";

import { passkeyProblem, passkeysWork } from "@/lib/webauthn";
import { ProblemNote } from "@/ui/problem-note";

const noSubscription = () => () => undefined;

/** What the browser can do is known in the browser only, not when the page is exported. */
export function usePasskeysWork(): boolean {
  return useSyncExternalStore(noSubscription, passkeysWork, () => false);
}

/** What went wrong with a passkey: in the browser, or at the server. */
export function PasskeyProblem({ error }: { error: unknown }) {
  if (!error) return null;
  const text = passkeyProblem(error);
  if (text) return <p role="alert" className="rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3">{text}</p>;
  return error instanceof DOMException ? null : <ProblemNote error={error} />;
}
