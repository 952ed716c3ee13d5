"use client";

import { asProblem } from "@plasma/client/problem";
import Link from "next/link";
import { useState, type SyntheticEvent } from "react";

import { useResetPassword } from "@/data/login/mutations";
import { Button, ButtonLink } from "@/ui/button";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { LoginLayout } from "./login-layout";
import { useLinkToken } from "./use-link-token";

/** The page of a mailed link that replaces a forgotten password. */
export function ResetPage() {
  const reset = useResetPassword();
  const token = useLinkToken();
  const [password, setPassword] = useState("");
  const [repeated, setRepeated] = useState("");
  const mismatch = repeated !== "" && repeated !== password ? "The two do not match." : null;
  const problem = reset.error ? asProblem(reset.error) : null;

  if (reset.isSuccess) {
    return (
      <LoginLayout title="Password changed" lead="You are signed out everywhere. Sign in with the new password.">
        <ButtonLink variant="primary" href="/login/">Sign in</ButtonLink>
      </LoginLayout>
    );
  }
  if (token === null) {
    return (
      <LoginLayout title="Set a new password">
        <p role="alert">This link is incomplete. Copy the whole address from the mail, or <Link href="/login/" className="link">ask for a new one</Link>.</p>
      </LoginLayout>
    );
  }

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (token && password === repeated) reset.mutate({ token, new_password: password });
  };

  return (
    <LoginLayout title="Set a new password" lead="A few words that belong together only for you are better than one with signs in it.">
      <form onSubmit={submit} className="flex flex-col gap-4">
        {problem && !problem.field ? <ProblemNote error={reset.error} /> : null}
        <TextField label="New password" type="password" required minLength={10} maxLength={200} autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} error={problem?.field === "new_password" ? problem.detail : null} hint="At least 10 characters." />
        <TextField label="New password again" type="password" required autoComplete="new-password" value={repeated} onChange={(event) => setRepeated(event.target.value)} error={mismatch} />
        <Button type="submit" variant="primary" busy={reset.isPending} disabled={password === "" || password !== repeated} className="w-full">Set password</Button>
      </form>
    </LoginLayout>
  );
}
