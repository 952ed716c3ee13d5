"use client";

import { asProblem } from "@plasma/client/problem";
import { useState, type SyntheticEvent } from "react";

import { useRequestPasswordReset } from "@/data/login/mutations";
import { useChangePassword } from "@/data/session/mutations";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { useToast } from "@/ui/toast";

export function PasswordSection({ email, hasPassword }: { email: string; hasPassword: boolean }) {
  return (
    <Section title="Password" lead={hasPassword ? "Changing it signs you out everywhere else." : "You have none: you sign in another way."}>
      {hasPassword ? <PasswordForm email={email} /> : <AskForOne email={email} />}
    </Section>
  );
}

function AskForOne({ email }: { email: string }) {
  const reset = useRequestPasswordReset();
  const notify = useToast();
  return (
    <div className="flex flex-col items-start gap-4">
      {reset.error ? <ProblemNote error={reset.error} /> : null}
      <Button busy={reset.isPending} onClick={() => reset.mutate(email, { onSuccess: () => notify("A link is on its way to you") })}>Send me a link to set one</Button>
    </div>
  );
}

function PasswordForm({ email }: { email: string }) {
  const change = useChangePassword();
  const notify = useToast();
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [repeated, setRepeated] = useState("");
  const mismatch = repeated !== "" && repeated !== next ? "The two do not match." : null;
  const problem = change.error ? asProblem(change.error) : null;

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (next !== repeated) return;
    change.mutate(
      { current_password: current, new_password: next },
      {
        onSuccess: () => {
          setCurrent("");
          setNext("");
          setRepeated("");
          notify("Password changed");
        },
      },
    );
  };

  return (
    <form onSubmit={submit} className="flex max-w-md flex-col items-start gap-4">
      <input type="text" name="username" autoComplete="username" value={email} readOnly hidden aria-hidden />
      <TextField label="Current password" type="password" required autoComplete="current-password" value={current} onChange={(event) => setCurrent(event.target.value)} error={problem?.field === "current_password" ? problem.detail : null} className="w-full" />
      <TextField label="New password" type="password" required minLength={10} maxLength={200} autoComplete="new-password" value={next} onChange={(event) => setNext(event.target.value)} error={problem?.field === "new_password" ? problem.detail : null} hint="At least 10 characters; a few words that belong together only for you." className="w-full" />
      <TextField label="New password again" type="password" required autoComplete="new-password" value={repeated} onChange={(event) => setRepeated(event.target.value)} error={mismatch} className="w-full" />
      {problem && !problem.field ? <ProblemNote error={change.error} /> : null}
      <Button type="submit" busy={change.isPending} disabled={current === "" || next === "" || next !== repeated}>Change password</Button>
    </form>
  );
}
