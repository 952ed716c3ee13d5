"use client";

import { asProblem } from "@plasma/client/problem";
import type { LoginMethods } from "@plasma/client/types";
import { KeyRound } from "lucide-react";
import { useEffect, useRef, useState, type SyntheticEvent } from "react";

import { useLoginMethods, usePasskeyLogin, type LoginAnswer } from "@/data/login/mutations";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { PasskeyProblem, usePasskeysWork } from "../passkey-support";
import { SsoContinue, SsoProblemNote } from "../sso-notice";
import { LoginLayout } from "./login-layout";
import { usePasskeyAutofill } from "./use-passkey-autofill";

/** First the e-mail; or a passkey, which knows whose it is. */
export function EmailStep({ onOffered, onAnswer }: { onOffered: (email: string, offered: LoginMethods) => void; onAnswer: (answer: LoginAnswer) => void }) {
  const ask = useLoginMethods();
  const passkey = usePasskeyLogin();
  const possible = usePasskeysWork();
  const [email, setEmail] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const autofill = usePasskeyAutofill(onAnswer);
  const problem = ask.error ? asProblem(ask.error) : null;

  useEffect(() => field.current?.focus(), []);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const address = email.trim();
    ask.mutate(address, { onSuccess: (offered) => onOffered(address, offered) });
  };

  const withPasskey = () => {
    // A browser answers one question about passkeys at a time.
    autofill.stop();
    passkey.mutate(undefined, { onSuccess: onAnswer, onError: autofill.start });
  };

  return (
    <LoginLayout title="Sign in" lead="With the account that your administrator gave you.">
      <SsoProblemNote />
      <SsoContinue />
      <form onSubmit={submit} className="flex flex-col gap-5">
        <PasskeyProblem error={passkey.error} />
        {problem && !problem.field ? <ProblemNote error={ask.error} /> : null}
        <TextField
          ref={field}
          label="E-mail"
          type="email"
          name="email"
          autoComplete="username webauthn"
          required
          value={email}
          onChange={(event) => setEmail(event.target.value)}
          error={problem?.field === "email" ? problem.detail : null}
        />
        <Button type="submit" variant="primary" busy={ask.isPending} className="mt-1 w-full">Continue</Button>
      </form>
      {possible && (
        <Button icon={<KeyRound aria-hidden className="size-4" />} busy={passkey.isPending} onClick={withPasskey} className="w-full">Sign in with a passkey</Button>
      )}
      <p className="text-[0.8125rem] text-faint">
        First start? The server prints the owner’s address and password once, where it was started.
      </p>
    </LoginLayout>
  );
}
