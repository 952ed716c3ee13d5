"use client";

import type { LoginMethods } from "@plasma/client/types";
import { KeyRound, Mail } from "lucide-react";
import { useEffect, useRef, useState, type SyntheticEvent } from "react";

import { usePasskeyLogin, usePasswordLogin, useRequestLoginLink, useRequestPasswordReset, type LoginAnswer } from "@/data/login/mutations";
import { Button, buttonClass } from "@/ui/button";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { PasskeyProblem, usePasskeysWork } from "../passkey-support";
import { singleSignOnPath } from "../sso-notice";
import { LoginLayout } from "./login-layout";

interface MethodsStepProps {
  email: string;
  offered: LoginMethods;
  next: string;
  onAnswer: (answer: LoginAnswer) => void;
  onMail: (what: "link" | "reset") => void;
  onStartAgain: () => void;
}

/** With what to sign in, as the workspace allows it. */
export function MethodsStep({ email, offered, next, onAnswer, onMail, onStartAgain }: MethodsStepProps) {
  const passkey = usePasskeyLogin();
  const link = useRequestLoginLink();
  const reset = useRequestPasswordReset();
  const possible = usePasskeysWork();
  const allows = (method: LoginMethods["methods"][number]) => !offered.enforced && offered.methods.includes(method);
  return (
    <LoginLayout
      title="Sign in"
      lead={<>As <span className="font-medium break-all text-ink">{email}</span>. <button type="button" className="link" onClick={onStartAgain}>Not you?</button></>}
    >
      <PasskeyProblem error={passkey.error} />
      {link.error || reset.error ? <ProblemNote error={link.error ?? reset.error} /> : null}
      {offered.connections.map((connection) => (
        <a key={connection.id} href={singleSignOnPath(connection.id, next)} className={buttonClass("secondary", false, "w-full")}>Continue with {connection.name}</a>
      ))}
      {allows("password") && (
        <PasswordForm email={email} onAnswer={onAnswer} onForgotten={offered.password_reset ? () => reset.mutate(email, { onSuccess: () => onMail("reset") }) : null} />
      )}
      {allows("passkey") && possible && (
        <Button icon={<KeyRound aria-hidden className="size-4" />} busy={passkey.isPending} onClick={() => passkey.mutate(undefined, { onSuccess: onAnswer })} className="w-full">Use a passkey</Button>
      )}
      {allows("magic_link") && (
        <Button icon={<Mail aria-hidden className="size-4" />} busy={link.isPending} onClick={() => link.mutate({ email, next }, { onSuccess: () => onMail("link") })} className="w-full">Send me a link by mail</Button>
      )}
    </LoginLayout>
  );
}

function PasswordForm({ email, onAnswer, onForgotten }: { email: string; onAnswer: (answer: LoginAnswer) => void; onForgotten: (() => void) | null }) {
  const login = usePasswordLogin();
  const [password, setPassword] = useState("");
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => field.current?.focus(), []);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    login.mutate(
      { email, password },
      {
        onSuccess: onAnswer,
        onError: () => {
          setPassword("");
          field.current?.focus();
        },
      },
    );
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {login.error ? <ProblemNote error={login.error} /> : null}
      {/* Password managers look for the name beside the password. */}
      <input type="email" name="email" autoComplete="username" value={email} readOnly hidden aria-hidden />
      <TextField ref={field} label="Password" type="password" name="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
      <Button type="submit" variant="primary" busy={login.isPending} className="mt-1 w-full">Sign in</Button>
      {onForgotten && <button type="button" className="link self-start text-[0.875rem]" onClick={onForgotten}>Forgot your password?</button>}
    </form>
  );
}
