"use client";

import { asProblem } from "@plasma/client/problem";
import { useState, type SyntheticEvent } from "react";

import { useChangePassword, useUpdateProfile } from "@/data/session/mutations";
import { setTheme, THEME_OPTIONS, useTheme } from "@/lib/theme";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { PageHeader, Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { Segmented } from "@/ui/segmented";
import { useToast } from "@/ui/toast";

import { roleLabel } from "./role-labels";
import { useMe } from "./session";

export function ProfilePage() {
  const me = useMe();
  const theme = useTheme();
  return (
    <>
      <PageHeader title="Settings" lead={<>Signed in as {me.user?.email ?? me.actor.name}, {roleLabel(me.role).toLowerCase()} of {me.tenant.name}.</>} />
      {me.user && (
        <>
          <Section title="Name"><NameForm name={me.user.name} /></Section>
          <Section title="Password" lead="Changing it signs you out everywhere else."><PasswordForm email={me.user.email} /></Section>
        </>
      )}
      <Section title="Theme" lead="Kept in this browser.">
        <Segmented label="Theme" value={theme} options={THEME_OPTIONS} onChange={setTheme} />
      </Section>
    </>
  );
}

function NameForm({ name: current }: { name: string }) {
  const update = useUpdateProfile();
  const notify = useToast();
  const [name, setName] = useState(current);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    update.mutate({ name: name.trim() }, { onSuccess: () => notify("Name saved") });
  };
  return (
    <form onSubmit={submit} className="flex max-w-md flex-col items-start gap-4">
      <TextField label="Name" required maxLength={200} autoComplete="name" value={name} onChange={(event) => setName(event.target.value)} className="w-full" />
      {update.error ? <ProblemNote error={update.error} /> : null}
      <Button type="submit" busy={update.isPending} disabled={name.trim() === current || name.trim() === ""}>Save name</Button>
    </form>
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
      <TextField label="New password" type="password" required minLength={10} maxLength={200} autoComplete="new-password" value={next} onChange={(event) => setNext(event.target.value)} error={problem?.field === "new_password" ? problem.detail : null} hint="At least 10 characters." className="w-full" />
      <TextField label="New password again" type="password" required autoComplete="new-password" value={repeated} onChange={(event) => setRepeated(event.target.value)} error={mismatch} className="w-full" />
      {problem && !problem.field ? <ProblemNote error={change.error} /> : null}
      <Button type="submit" busy={change.isPending} disabled={current === "" || next === "" || next !== repeated}>Change password</Button>
    </form>
  );
}
