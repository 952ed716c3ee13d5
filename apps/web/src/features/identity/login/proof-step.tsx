"use client";

import type { LoginNeed, PendingLogin } from "@plasma/client/types";
import { KeyRound } from "lucide-react";
import { useState, type SyntheticEvent } from "react";

import { usePasskeyLogin, useRecoveryCodeLogin, useTotpLogin, type LoginAnswer } from "@/data/login/mutations";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { CodeField } from "../code-field";
import { PasskeyProblem, usePasskeysWork } from "../passkey-support";
import { choices } from "./login-flow";
import { LoginLayout } from "./login-layout";

type Choice = Exclude<LoginNeed, "enroll">;

const OTHERWISE: Record<Choice, string> = {
  passkey: "Use a passkey",
  totp: "Use a code of your authenticator",
  recovery_code: "Use a recovery code",
};

interface ProofProps {
  pending: PendingLogin;
  onAnswer: (answer: LoginAnswer) => void;
}

/** The second proof: one of those that the person has. */
export function ProofStep({ pending, onAnswer, onStartAgain }: ProofProps & { onStartAgain: () => void }) {
  const possible = usePasskeysWork();
  const offered = choices(pending.needs, possible);
  const [chosen, setChosen] = useState<Choice | null>(null);
  const choice = chosen ?? offered[0];
  return (
    <LoginLayout title="One more proof" lead="Your account is protected by a second factor.">
      {choice === "passkey" && <PasskeyProof pending={pending} onAnswer={onAnswer} />}
      {choice === "totp" && <TotpProof pending={pending} onAnswer={onAnswer} />}
      {choice === "recovery_code" && <RecoveryProof pending={pending} onAnswer={onAnswer} />}
      {choice === undefined && <p role="alert">Your passkey does not work under this address. Open the dashboard under the name that it is set up for.</p>}
      <div className="flex flex-col items-start gap-2 text-[0.875rem]">
        {offered.filter((other) => other !== choice).map((other) => (
          <button key={other} type="button" className="link" onClick={() => setChosen(other)}>{OTHERWISE[other]}</button>
        ))}
        <button type="button" className="link" onClick={onStartAgain}>Start again</button>
      </div>
    </LoginLayout>
  );
}

function PasskeyProof({ pending, onAnswer }: ProofProps) {
  const login = usePasskeyLogin();
  return (
    <>
      <PasskeyProblem error={login.error} />
      <Button variant="primary" icon={<KeyRound aria-hidden className="size-4" />} busy={login.isPending} onClick={() => login.mutate(pending.pending_token, { onSuccess: onAnswer })} className="w-full">Use your passkey</Button>
    </>
  );
}

function TotpProof({ pending, onAnswer }: ProofProps) {
  const login = useTotpLogin();
  const [code, setCode] = useState("");
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    login.mutate({ pending_token: pending.pending_token, code }, { onSuccess: onAnswer, onError: () => setCode("") });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {login.error ? <ProblemNote error={login.error} /> : null}
      <CodeField value={code} onChange={setCode} focused />
      <Button type="submit" variant="primary" busy={login.isPending} disabled={code.length < 6} className="w-full">Continue</Button>
    </form>
  );
}

function RecoveryProof({ pending, onAnswer }: ProofProps) {
  const login = useRecoveryCodeLogin();
  const [code, setCode] = useState("");
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    login.mutate({ pending_token: pending.pending_token, code }, { onSuccess: onAnswer });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {login.error ? <ProblemNote error={login.error} /> : null}
      <TextField label="Recovery code" required maxLength={40} autoComplete="off" autoCapitalize="none" spellCheck={false} placeholder="xxxx-xxxx-xxxx-xxxx" value={code} onChange={(event) => setCode(event.target.value)} hint="One of those that you kept when you set up your second factor. It is good once." />
      <Button type="submit" variant="primary" busy={login.isPending} disabled={code.trim() === ""} className="w-full">Continue</Button>
    </form>
  );
}
