"use client";

import { asProblem } from "@plasma/client/problem";
import { useState, type SyntheticEvent } from "react";

import { useAcceptInvitation } from "@/data/invitations/mutations";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { forgetInvitationToken } from "./invitation-token";
import { isPending, leavePendingLogin } from "./pending-login";

/** For somebody who is new to the installation: a name and a password, and they are in. */
export function InvitationForm({ token, email }: { token: string; email: string }) {
  const accept = useAcceptInvitation();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const problem = accept.error ? asProblem(accept.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    accept.mutate(
      { token, name: name.trim(), password },
      {
        onSuccess: (answer) => {
          forgetInvitationToken();
          if (isPending(answer)) leavePendingLogin(answer);
          location.assign(isPending(answer) ? "/login/" : "/");
        },
      },
    );
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-5">
      {problem && problem.field !== "name" && problem.field !== "password" ? <ProblemNote error={accept.error} /> : null}
      <TextField label="E-mail" type="email" name="email" autoComplete="username" readOnly value={email} hint="You sign in with it." />
      <TextField label="Your name" name="name" required maxLength={200} autoComplete="name" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} />
      <TextField
        label="Choose a password"
        type="password"
        name="password"
        required
        minLength={10}
        maxLength={200}
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.target.value)}
        error={fieldError("password")}
        hint="At least 10 characters, and none of the common ones."
      />
      <Button type="submit" variant="primary" busy={accept.isPending} className="mt-1 w-full">Accept and sign in</Button>
    </form>
  );
}
