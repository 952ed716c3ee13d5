"use client";

import { useRouter, useSearchParams } from "next/navigation";
import { useEffect, useRef, useState } from "react";

import { api } from "@/data/api";
import type { LoginAnswer } from "@/data/login/mutations";
import { formatDateTime } from "@/lib/format";
import { Button, ButtonLink, Spinner } from "@/ui/button";

import { safeNextPath } from "../next-path";
import { takePendingLogin } from "../pending-login";
import { RecoveryCodes } from "../recovery-codes";
import { EmailStep } from "./email-step";
import { EnrollStep } from "./enroll-step";
import { LinkStep } from "./link-step";
import { afterAnswer, afterEnrolling, type LoginStep } from "./login-flow";
import { LoginLayout } from "./login-layout";
import { MailStep } from "./mail-step";
import { MethodsStep } from "./methods-step";
import { ProofStep } from "./proof-step";

/** Signing in, step by step. `byLink`: the page that a mailed link opens. */
export function LoginPage({ byLink }: { byLink?: boolean }) {
  const router = useRouter();
  const next = safeNextPath(useSearchParams().get("next"));
  const [step, setStep] = useState<LoginStep | { kind: "link" }>({ kind: byLink ? "link" : "email" });

  const arrived = useRef(false);
  useEffect(() => {
    // What another page has left can be taken once: an effect that runs twice must not lose it.
    if (byLink || arrived.current) return;
    arrived.current = true;
    const left = takePendingLogin();
    if (left) {
      queueMicrotask(() => setStep(afterAnswer(left)));
      return;
    }
    // Whoever is signed in already has no business here. A plain request: a 401 is the normal case and no error.
    void api.GET("/api/v1/me").then(({ response }) => response.ok && router.replace(next), () => undefined);
  }, [router, next, byLink]);

  useEffect(() => {
    if (step.kind === "done") router.replace(next);
  }, [step, router, next]);

  const onAnswer = (answer: LoginAnswer) => setStep(afterAnswer(answer));
  const startAgain = () => setStep({ kind: "email" });

  switch (step.kind) {
    case "link":
      return <LinkStep onAnswer={onAnswer} onStartAgain={startAgain} />;
    case "email":
      return <EmailStep onOffered={(email, offered) => setStep({ kind: "methods", email, offered })} onAnswer={onAnswer} />;
    case "methods":
      return (
        <MethodsStep
          email={step.email}
          offered={step.offered}
          next={next}
          onAnswer={onAnswer}
          onMail={(what) => setStep({ kind: "mail", email: step.email, what })}
          onStartAgain={startAgain}
        />
      );
    case "mail":
      return <MailStep email={step.email} what={step.what} onStartAgain={startAgain} />;
    case "proof":
      return <ProofStep pending={step.pending} onAnswer={onAnswer} onStartAgain={startAgain} />;
    case "enroll":
      return (
        <EnrollStep
          pending={step.pending}
          onEnrolled={({ login, pending, recovery_codes }) => setStep(afterEnrolling(login, pending, recovery_codes))}
          onStartAgain={startAgain}
        />
      );
    case "codes":
      return (
        <LoginLayout title="Keep these codes" lead="Each of them signs you in once when you do not have your second factor with you. They are shown only now.">
          <RecoveryCodes codes={step.codes} />
          <Button variant="primary" onClick={() => onAnswer(step.answer)}>I have kept them</Button>
        </LoginLayout>
      );
    case "soon":
      return (
        <LoginLayout title="One more thing" lead={<>Your workspace requires a second factor. You can sign in without one until {formatDateTime(step.by)}.</>}>
          <ButtonLink variant="primary" href="/settings/security/">Set it up now</ButtonLink>
          <Button variant="quiet" onClick={() => setStep({ kind: "done" })}>Later</Button>
        </LoginLayout>
      );
    case "done":
      return (
        <LoginLayout title="Sign in">
          <p role="status" className="flex items-center gap-2.5 text-soft"><Spinner /> You are signed in.</p>
        </LoginLayout>
      );
  }
}
