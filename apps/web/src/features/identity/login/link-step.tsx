"use client";

import { useEffect, useRef } from "react";

import { useLinkLogin, type LoginAnswer } from "@/data/login/mutations";
import { Button, Spinner } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";

import { LoginLayout } from "./login-layout";
import { useLinkToken } from "./use-link-token";

/** The page that a mailed link opens: it signs in by itself, in the browser that asked for the link. */
export function LinkStep({ onAnswer, onStartAgain }: { onAnswer: (answer: LoginAnswer) => void; onStartAgain: () => void }) {
  const { mutate, error } = useLinkLogin();
  const token = useLinkToken();
  const started = useRef(false);

  useEffect(() => {
    // A link works once: an effect that runs twice must not spend it.
    if (!token || started.current) return;
    started.current = true;
    mutate(token, { onSuccess: onAnswer });
  }, [mutate, onAnswer, token]);

  return (
    <LoginLayout title="Sign in">
      {error ? <ProblemNote error={error} /> : token === null ? <p role="alert">This link is incomplete. Copy the whole address from the mail.</p> : (
        <p role="status" className="flex items-center gap-2.5 text-soft"><Spinner /> Signing you in …</p>
      )}
      {(error !== null || token === null) && <Button onClick={onStartAgain} className="self-start">Back to the sign-in</Button>}
    </LoginLayout>
  );
}
