"use client";

import type { AuditKey, AuditLogState } from "@plasma/client/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { AuditLogName } from "@/data/audit/keys";
import { useErasePerson, useSetRetention } from "@/data/audit/mutations";
import { auditKeyQuery, auditStateQuery } from "@/data/audit/queries";
import { usersQuery } from "@/data/users/queries";
import { useCan, useDenied } from "@/features/identity/session";
import { formatCount, plural } from "@/lib/format";
import { Button, buttonClass } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { CopyButton } from "@/ui/copy-button";
import { SelectField, TextField } from "@/ui/field";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";
import { useToast } from "@/ui/toast";

/** Choices of how long records are kept, in days; a year is the least. */
const RETENTIONS: { value: string; label: string }[] = [
  { value: "", label: "For ever" },
  { value: "365", label: "One year" },
  { value: "730", label: "Two years" },
  { value: "1095", label: "Three years" },
  { value: "2555", label: "Seven years" },
  { value: "3650", label: "Ten years" },
];

export function LogSection({ log }: { log: AuditLogName | undefined }) {
  const state = useQuery(auditStateQuery(log));
  const key = useQuery(auditKeyQuery(log));
  return (
    <>
      <Section title="Newest checkpoint" lead="A signed statement of how many records there are and of the one hash that follows from all of them.">
        <QueryView query={state}>{(data) => <CheckpointFacts state={data} />}</QueryView>
      </Section>
      <Section title="Public key" lead="Keep it outside of this installation: with it, plasma audit verify relies on nothing that the installation says.">
        <QueryView query={key}>{(data) => <KeyFacts auditKey={data} />}</QueryView>
      </Section>
      <Section title="Retention" lead="Older records are removed; their hashes stay, and the log tells what was removed.">
        <QueryView query={state}>{(data) => <Retention key={data.retention_days ?? 0} state={data} log={log} />}</QueryView>
      </Section>
      {!log && <ErasePerson />}
    </>
  );
}

function CheckpointFacts({ state }: { state: AuditLogState }) {
  const { checkpoint } = state;
  return (
    <>
      <p>
        {plural(state.size, "record")} in the log
        {state.retained_from > 0 && <>, the first {formatCount(state.retained_from)} of them removed because of their age</>}
        {checkpoint ? <>, {formatCount(checkpoint.size)} under the checkpoint made <Time at={checkpoint.created_at} />.</> : ". The first checkpoint comes a minute after the first record."}
      </p>
      {checkpoint && (
        <div className="mt-3">
          <pre className="figure overflow-x-auto rounded-[5px] bg-sunken p-4 text-[0.8125rem]">{checkpoint.note}</pre>
          <div className="mt-2"><CopyButton text={checkpoint.note} label="Copy the checkpoint" /></div>
        </div>
      )}
    </>
  );
}

function KeyFacts({ auditKey }: { auditKey: AuditKey }) {
  const file = `data:application/x-pem-file,${encodeURIComponent(auditKey.pem)}`;
  return (
    <>
      <pre className="figure overflow-x-auto rounded-[5px] bg-sunken p-4 text-[0.8125rem]">{auditKey.pem.trim()}</pre>
      <p className="figure mt-2 text-[0.8125rem] break-all text-soft">{auditKey.verifier_key}</p>
      <div className="mt-3 flex flex-wrap gap-2">
        <a href={file} download="plasma-audit-key.pem" className={buttonClass("secondary", true)}>Download the key</a>
        <CopyButton text={auditKey.verifier_key} label="Copy for verifiers of signed notes" />
      </div>
    </>
  );
}

function Retention({ state, log }: { state: AuditLogState; log: AuditLogName | undefined }) {
  const denied = useDenied("audit:write");
  const save = useSetRetention(log);
  const notify = useToast();
  const current = state.retention_days === null ? "" : String(state.retention_days);
  const [days, setDays] = useState(current);
  const known = RETENTIONS.some((choice) => choice.value === current);
  return (
    <div className="max-w-md">
      <SelectField label="Keep records" value={days} onChange={(event) => setDays(event.target.value)}>
        {!known && <option value={current}>{plural(Number(current), "day")}</option>}
        {RETENTIONS.map((choice) => <option key={choice.value} value={choice.value}>{choice.label}</option>)}
      </SelectField>
      {save.error ? <ProblemNote error={save.error} className="mt-3" /> : null}
      <Button
        className="mt-3"
        reason={denied}
        disabled={days === current}
        busy={save.isPending}
        onClick={() => save.mutate(days === "" ? null : Number(days), { onSuccess: () => notify("The retention is changed") })}
      >
        Save
      </Button>
    </div>
  );
}

function ErasePerson() {
  const denied = useDenied("audit:write");
  const seesUsers = useCan("users:read");
  const users = useInfiniteQuery({ ...usersQuery, enabled: seesUsers });
  const erase = useErasePerson();
  const notify = useToast();
  const [person, setPerson] = useState("");
  const [asking, setAsking] = useState(false);
  return (
    <Section title="Forget a person" lead="Takes names, addresses and other details of a person out of the log. What happened to which id when stays, and the log can still be proven.">
      <div className="max-w-md">
        <TextField label="Person" hint="The id, also of somebody who was removed." list="audit-people" placeholder="usr_…" value={person} onChange={(event) => setPerson(event.target.value)} />
        <datalist id="audit-people">{users.data?.map((user) => <option key={user.id} value={user.id}>{user.name}</option>)}</datalist>
        <Button className="mt-3" variant="danger" reason={denied} disabled={!person.startsWith("usr_")} onClick={() => setAsking(true)}>Erase their details</Button>
      </div>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title="Erase a person’s details?"
        action="Erase"
        busy={erase.isPending}
        error={erase.error}
        onConfirm={() =>
          erase.mutate(person.trim(), {
            onSuccess: ({ records }) => {
              setAsking(false);
              setPerson("");
              notify(`${plural(records, "record")} erased`);
            },
          })
        }
      >
        Every record that names {person} loses its details and addresses. The erasure itself is recorded. This cannot be undone.
      </ConfirmDialog>
    </Section>
  );
}
