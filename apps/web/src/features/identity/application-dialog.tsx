"use client";

import { asProblem } from "@plasma/client/problem";
import type { Application, ApplicationKind, ApplicationWithSecret, Permission } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useCreateApplication, useUpdateApplication } from "@/data/applications/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, SelectField, TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { PermissionChecks } from "./permission-checks";
import { useMe } from "./session";
import { belongsTo, textLines } from "./text-lines";

interface ApplicationDialogProps {
  /** Which one is changed, a new one, or none: then the dialog is closed. */
  application: Application | "new" | null;
  onClose: () => void;
  onCreated: (made: ApplicationWithSecret) => void;
}

export function ApplicationDialog({ application, onClose, onCreated }: ApplicationDialogProps) {
  const title = application === "new" ? "Register an application" : `Change “${application?.name ?? ""}”`;
  return (
    <Dialog open={application !== null} onOpenChange={(open) => !open && onClose()} title={title} wide>
      {application !== null && <ApplicationForm key={application === "new" ? "new" : application.id} application={application === "new" ? null : application} onClose={onClose} onCreated={onCreated} />}
    </Dialog>
  );
}

/** The permissions of a workspace; managing the installation is nothing that applications of one are for. */
function isOfWorkspace(permission: Permission): boolean {
  return !permission.startsWith("installation:");
}

function ApplicationForm({ application, onClose, onCreated }: { application: Application | null; onClose: () => void; onCreated: (made: ApplicationWithSecret) => void }) {
  const me = useMe();
  const create = useCreateApplication();
  const update = useUpdateApplication();
  const [name, setName] = useState(application?.name ?? "");
  const [description, setDescription] = useState(application?.description ?? "");
  const [homepage, setHomepage] = useState(application?.homepage ?? "");
  const [kind, setKind] = useState<ApplicationKind>(application?.kind ?? "confidential");
  const [addresses, setAddresses] = useState((application?.redirect_uris ?? []).join("\n"));
  const [scopes, setScopes] = useState<Permission[]>(application?.scopes ?? []);
  const [own, setOwn] = useState<Permission[]>(application?.own_permissions ?? []);
  const [device, setDevice] = useState(application?.device ?? false);

  const error = create.error ?? update.error;
  const problem = error ? asProblem(error) : null;
  const fieldError = (field: string) => (belongsTo(problem?.field, field) ? (problem?.detail ?? null) : null);
  const grantable = me.permissions.filter(isOfWorkspace);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const body = {
      name: name.trim(),
      description: description.trim(),
      redirect_uris: textLines(addresses),
      scopes,
      own_permissions: kind === "confidential" ? own : [],
      device,
    };
    // An empty page removes the one that was there.
    if (application) update.mutate({ id: application.id, ...body, homepage: homepage.trim() }, { onSuccess: onClose });
    else create.mutate({ ...body, kind, ...(homepage.trim() && { homepage: homepage.trim() }) }, { onSuccess: onCreated });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={error} /> : null}
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField label="Name" required maxLength={200} placeholder="Newsletter builder" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} hint="People see it when they are asked." />
        <SelectField
          label="Runs"
          disabled={application !== null}
          value={kind}
          onChange={(event) => setKind(event.target.value as ApplicationKind)}
          error={fieldError("kind")}
          hint={kind === "confidential" ? "It gets a secret." : "It gets no secret: there is no place to hide one."}
        >
          <option value="confidential">On a server</option>
          <option value="public">On people’s devices or in their browsers</option>
        </SelectField>
      </div>
      <TextField label="Page" optional type="url" maxLength={2000} placeholder="https://app.example.com" value={homepage} onChange={(event) => setHomepage(event.target.value)} error={fieldError("homepage")} />
      <TextAreaField label="What it is for" optional rows={2} maxLength={1000} value={description} onChange={(event) => setDescription(event.target.value)} error={fieldError("description")} />
      <TextAreaField
        label="Addresses"
        optional
        rows={3}
        spellCheck={false}
        placeholder="https://app.example.com/callback"
        value={addresses}
        onChange={(event) => setAddresses(event.target.value)}
        error={fieldError("redirect_uris")}
        hint={
          application
            ? "Where people are sent back to, exactly, one a line. After a new one everybody is asked again."
            : "Where people are sent back to, exactly, one a line: https://, or http://127.0.0.1/ for programs on people’s machines, whose port may differ each time."
        }
      />
      <PermissionChecks legend="May ask people for" hint="The most that somebody can allow it. It never may more than the person themselves." options={grantable} chosen={scopes} onChange={setScopes} error={fieldError("scopes")} />
      {kind === "confidential" && (
        <PermissionChecks legend="May do for itself" hint="With its secret, and without any person. Not more than you may do yourself." options={grantable} chosen={own} onChange={setOwn} error={fieldError("own_permissions")} />
      )}
      <CheckField label="Also on devices without a browser" hint="It shows a code, and people type it here. Somebody could trick them into typing another one’s: leave it off when it is not needed." checked={device} onChange={(event) => setDevice(event.target.checked)} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={create.isPending || update.isPending} disabled={name.trim() === ""}>{application ? "Save" : "Register"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
