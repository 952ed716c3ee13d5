"use client";

import { useState, type SyntheticEvent } from "react";

import { useUpdateProfile } from "@/data/session/mutations";
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
        <Section title="Name"><NameForm name={me.user.name} /></Section>
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
