"use client";

import { asProblem } from "@plasma/client/problem";
import type { Connection, ConnectionPreset } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { useCreateConnection, useUpdateConnection } from "@/data/connections/mutations";
import { singleSignOnQuery } from "@/data/connections/queries";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy-button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { bodyOf, emptyForm, formOf, PRESETS, presetOf, providerOf, type ConnectionForm } from "./connection-presets";
import { ConnectionTestResult } from "./connection-test";
import { ROLES } from "./role-labels";

const DEFAULT_ROLES = ROLES.filter((role) => role.value !== "owner" && role.value !== "service");

/** Connects a provider in three steps: which one, its form, and what a test says of it. */
export function ConnectionDialog({ connection, onClose }: { connection: Connection | "new" | null; onClose: () => void }) {
  const [preset, setPreset] = useState<ConnectionPreset | null>(null);
  const [saved, setSaved] = useState<Connection | null>(null);
  const close = () => {
    setPreset(null);
    setSaved(null);
    onClose();
  };
  const isNew = connection === "new";
  const title = saved ? "Does it work?" : isNew ? (preset ? `Connect ${presetOf(preset).label}` : "Connect a provider") : "Change connection";
  return (
    <Dialog open={connection !== null} onOpenChange={(open) => !open && close()} title={title} wide>
      {saved ? (
        <>
          <ConnectionTestResult connection={saved} />
          <DialogActions><Button variant="primary" onClick={close}>Done</Button></DialogActions>
        </>
      ) : isNew && !preset ? (
        <PresetChoice onChoose={setPreset} onClose={close} />
      ) : connection !== null ? (
        <ConnectionFields before={isNew ? null : connection} initial={isNew ? emptyForm(preset ?? "custom") : formOf(connection)} onSaved={setSaved} onBack={isNew ? () => setPreset(null) : close} />
      ) : null}
    </Dialog>
  );
}

function PresetChoice({ onChoose, onClose }: { onChoose: (preset: ConnectionPreset) => void; onClose: () => void }) {
  return (
    <>
      <ul className="border-t border-rule">
        {PRESETS.map((preset) => (
          <li key={preset.value} className="border-b border-rule">
            <button type="button" onClick={() => onChoose(preset.value)} className="flex min-h-12 w-full items-center justify-between gap-4 px-1 text-left font-medium hover:text-accent">
              {preset.label}<span aria-hidden className="text-faint">→</span>
            </button>
          </li>
        ))}
      </ul>
      <DialogActions><Button variant="quiet" onClick={onClose}>Cancel</Button></DialogActions>
    </>
  );
}

/** What the provider's page of this application must name. */
export function CopiedAddress({ label, address }: { label: string; address: string }) {
  return (
    <div className="rounded-[5px] bg-sunken px-4 py-3">
      <p className="text-[0.875rem] font-medium">{label}</p>
      <div className="mt-1 flex flex-wrap items-center gap-3">
        <span className="figure min-w-0 flex-1 text-[0.875rem] break-all select-all">{address}</span>
        <CopyButton text={address} />
      </div>
    </div>
  );
}

function ConnectionFields({ before, initial, onSaved, onBack }: { before: Connection | null; initial: ConnectionForm; onSaved: (connection: Connection) => void; onBack: () => void }) {
  const settings = useQuery(singleSignOnQuery);
  const create = useCreateConnection();
  const update = useUpdateConnection();
  const [form, setForm] = useState(initial);
  const preset = presetOf(form.preset);
  const set = <K extends keyof ConnectionForm>(field: K, value: ConnectionForm[K]) => setForm((current) => ({ ...current, [field]: value }));
  const error = create.error ?? update.error;
  const problem = error ? asProblem(error) : null;
  const fieldError = (field: string) => (problem?.field === field || problem?.field?.startsWith(`${field}[`) ? problem.detail : null);
  const isShown = ["name", "account", "issuer", "client_id", "client_secret", "domains", "scopes", "default_role"].some((field) => fieldError(field) !== null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const body = { ...bodyOf(form), ...providerOf(form, before) };
    if (before) update.mutate({ id: before.id, ...body }, { onSuccess: onSaved });
    else create.mutate({ ...body, preset: form.preset }, { onSuccess: onSaved });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-5">
      {problem && !isShown ? <ProblemNote error={error} /> : null}
      {settings.data && <CopiedAddress label="Redirect URI" address={settings.data.redirect_uri} />}
      {before && <CopiedAddress label="Back-channel logout URI, where the provider offers one" address={before.backchannel_logout_uri} />}
      {before && <CopiedAddress label="Post-logout redirect URI" address={before.post_logout_redirect_uri} />}
      {!before && <ol className="list-decimal space-y-1 pl-5 text-soft">{preset.steps.map((step) => <li key={step}>{step}</li>)}</ol>}
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField label="Name" required maxLength={200} autoComplete="off" placeholder="Acme login" value={form.name} onChange={(event) => set("name", event.target.value)} error={fieldError("name")} hint="What the button on the login page says." />
        {preset.account ? (
          <TextField label={preset.account.label} required maxLength={253} autoComplete="off" placeholder={preset.account.placeholder} value={form.account} onChange={(event) => set("account", event.target.value)} error={fieldError("account")} hint={preset.account.hint} />
        ) : (
          <TextField label="Issuer" type="url" required maxLength={500} autoComplete="off" placeholder="https://login.example.com" value={form.issuer} onChange={(event) => set("issuer", event.target.value)} error={fieldError("issuer")} hint="The address before /.well-known/openid-configuration." />
        )}
        <TextField label="Client ID" required maxLength={500} autoComplete="off" value={form.clientId} onChange={(event) => set("clientId", event.target.value)} error={fieldError("client_id")} />
        <TextField label="Client secret" type="password" optional={before !== null} maxLength={4000} autoComplete="new-password" value={form.clientSecret} onChange={(event) => set("clientSecret", event.target.value)} error={fieldError("client_secret")} hint={before?.has_client_secret ? "One is stored. Leave this empty to keep it." : "Stored encrypted; it cannot be shown again."} />
      </div>
      <TextField label="E-mail domains" optional autoComplete="off" placeholder="example.com, example.org" value={form.domains} onChange={(event) => set("domains", event.target.value)} error={fieldError("domains")} hint="People with such an e-mail find this sign-in, and are let in by it once the domain is verified." />
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField label="Role without a rule" value={form.defaultRole} onChange={(event) => set("defaultRole", event.target.value)} error={fieldError("default_role")} hint="Of whom no rule gives one.">
          <option value="">None: they are not let in</option>
          {DEFAULT_ROLES.map((role) => <option key={role.value} value={role.value}>{role.label}: {role.meaning}</option>)}
        </SelectField>
        <TextField label="Scopes" required autoComplete="off" value={form.scopes} onChange={(event) => set("scopes", event.target.value)} error={fieldError("scopes")} hint="What is asked for, separated by spaces." />
      </div>
      <CheckField label="Make people users at their first sign-in" hint="Otherwise only those who have an account already get in." checked={form.createsUsers} onChange={(event) => set("createsUsers", event.target.checked)} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={create.isPending || update.isPending}>{before ? "Save and test" : "Connect and test"}</Button>
        <Button variant="quiet" onClick={onBack}>{before ? "Cancel" : "Back"}</Button>
      </DialogActions>
    </form>
  );
}
