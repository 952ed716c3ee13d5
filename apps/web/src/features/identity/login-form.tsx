"use client";

import { useRouter, useSearchParams } from "next/navigation";
import { useEffect, useRef, useState, type SyntheticEvent } from "react";

import { api } from "@/data/api";
import { useLogin } from "@/data/session/mutations";
import { Mark, Wordmark } from "@/shell/wordmark";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { safeNextPath } from "./next-path";

export function LoginForm() {
  const router = useRouter();
  const next = safeNextPath(useSearchParams().get("next"));
  const login = useLogin();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const emailRef = useRef<HTMLInputElement>(null);
  const passwordRef = useRef<HTMLInputElement>(null);

  useEffect(() => {
    emailRef.current?.focus();
    // Whoever is signed in already has no business here. A plain request: a 401 is the normal case and no error.
    void api.GET("/api/v1/me").then(({ response }) => response.ok && router.replace(next), () => undefined);
  }, [router, next]);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    login.mutate(
      { email: email.trim(), password },
      {
        onSuccess: () => router.replace(next),
        onError: () => {
          setPassword("");
          passwordRef.current?.focus();
        },
      },
    );
  };

  return (
    <main className="grid min-h-dvh lg:grid-cols-[minmax(0,1.1fr)_minmax(0,1fr)]">
      <div className="relative hidden overflow-hidden border-r border-rule bg-sunken lg:block">
        <div className="flex h-full flex-col justify-between p-14">
          <Wordmark />
          <p className="max-w-[17ch] font-serif text-[3.75rem] leading-[1.04] font-[420] tracking-[-0.03em]">
            Every claim, <mark className="px-1">with its source</mark> beside it<sup className="figure ml-1 text-[0.3em] text-accent">1</sup>
          </p>
          <p className="max-w-[46ch] text-soft">
            <span className="figure mr-2 text-accent">1</span>
            Your documents, your models, your machine. Plasma finds, answers and drafts, and shows the passage behind each statement.
          </p>
        </div>
        <Mark quiet className="pointer-events-none absolute -top-32 -right-28 size-[27rem] text-rule" />
      </div>
      <div className="grid content-center px-6 py-12 sm:px-12">
        <form onSubmit={submit} className="mx-auto flex w-full max-w-sm flex-col gap-5">
          <div className="mb-6 lg:hidden"><Wordmark /></div>
          <div>
            <h1 className="text-[2.25rem]">Sign in</h1>
            <p className="mt-1.5 text-soft">With the account that your administrator gave you.</p>
          </div>
          {login.error ? <ProblemNote error={login.error} /> : null}
          <TextField ref={emailRef} label="E-mail" type="email" name="email" autoComplete="username" required value={email} onChange={(event) => setEmail(event.target.value)} />
          <TextField ref={passwordRef} label="Password" type="password" name="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
          <Button type="submit" variant="primary" busy={login.isPending} className="mt-1 w-full">Sign in</Button>
          <p className="text-[0.8125rem] text-faint">
            First start? The server prints the owner’s address and password once, where it was started.
          </p>
        </form>
      </div>
    </main>
  );
}
