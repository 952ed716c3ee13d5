"use client";

import type { InstallationEncryption, MasterKey } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useForgetOldMasterKeys, useRewrapDataKeys, useRotateInstallationKey, useRotateMasterKey } from "@/data/encryption/mutations";
import { installationEncryptionQuery } from "@/data/encryption/queries";
import { formatBytes, formatCount, plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Message } from "@/ui/message";
import { Section } from "@/ui/page-header";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";
import { useToast } from "@/ui/toast";

import { keysToRewrap, placeLabel, rotateReason, rotationText } from "./encryption-labels";
import { useDenied } from "./session";

type Verb = "master" | "rewrap" | "forget" | "own";

/** What each verb asks before it is done, and what it says. */
const QUESTIONS: Record<Verb, { title: string; action: string; danger: boolean; text: string }> = {
  master: {
    title: "Make a new master key?",
    action: "Make a new master key",
    danger: false,
    text: "Every data key of every workspace is wrapped with it in the background. No secret is touched. Save the key file anew afterwards; the old key stays in it for backups from before.",
  },
  rewrap: {
    title: "Wrap all data keys with the current master key?",
    action: "Wrap them",
    danger: false,
    text: "Do this when every process is configured for the new master key. It can be repeated.",
  },
  forget: {
    title: "Forget old master keys?",
    action: "Forget them",
    danger: true,
    text: "They are removed from the key file. Backups from the time when they wrapped data keys cannot be used after that. This cannot be undone.",
  },
  own: {
    title: "Rotate the installation's own key?",
    action: "Rotate the key",
    danger: false,
    text: "It seals what belongs to no workspace. What the old key sealed is sealed again in the background, and then the old key is destroyed.",
  },
};

/** The keys that wrap the workspaces' keys, and the last backup, for those who look after the installation. */
export function InstallationEncryptionSection() {
  const status = useQuery(installationEncryptionQuery);
  const denied = useDenied("installation:manage");
  const notify = useToast();
  const [asking, setAsking] = useState<Verb | null>(null);
  const verbs = { master: useRotateMasterKey(), rewrap: useRewrapDataKeys(), forget: useForgetOldMasterKeys(), own: useRotateInstallationKey() };
  const done = (text: string) => () => {
    setAsking(null);
    notify(text);
  };
  const confirm = () => {
    if (asking === "master") verbs.master.mutate(undefined, { onSuccess: done("There is a new master key") });
    if (asking === "rewrap") verbs.rewrap.mutate(undefined, { onSuccess: done("Data keys are being wrapped") });
    if (asking === "forget") verbs.forget.mutate(undefined, { onSuccess: ({ forgotten }) => done(`${plural(forgotten.length, "master key")} forgotten`)() });
    if (asking === "own") verbs.own.mutate(undefined, { onSuccess: done("The installation has a new key") });
  };
  const question = QUESTIONS[asking ?? "master"];
  return (
    <Section title="Installation" lead="Master keys wrap the data keys of all workspaces. They are named here, and shown nowhere.">
      <QueryView query={status} loading={<SkeletonRows rows={2} />}>
        {(data) => (
          <>
            {data.problem && <p role="alert" className="mb-4 text-bad"><Message text={data.problem} /></p>}
            <MasterKeyTable keys={data.master_keys} />
            <Facts data={data} />
            <div className="mt-5 flex flex-wrap gap-2.5">
              <Button reason={denied} onClick={() => setAsking("master")}>New master key</Button>
              <Button reason={denied ?? (keysToRewrap(data.master_keys) === 0 ? "Every data key is wrapped with the current master key." : null)} onClick={() => setAsking("rewrap")}>Wrap the others</Button>
              <Button reason={denied ?? rotateReason(data.own.rotations[0])} onClick={() => setAsking("own")}>Rotate the installation’s key</Button>
              <Button variant="danger" reason={denied ?? (data.file_keys.length < 2 ? "The key file has no older key." : null)} onClick={() => setAsking("forget")}>Forget old master keys</Button>
            </div>
          </>
        )}
      </QueryView>
      <ConfirmDialog
        open={asking !== null}
        onOpenChange={(open) => !open && setAsking(null)}
        title={question.title}
        action={question.action}
        danger={question.danger}
        busy={asking !== null && verbs[asking].isPending}
        error={asking === null ? null : verbs[asking].error}
        onConfirm={confirm}
      >
        {question.text}
      </ConfirmDialog>
    </Section>
  );
}

function MasterKeyTable({ keys }: { keys: MasterKey[] }) {
  return (
    <table className="ledger stack">
      <caption className="sr-only">Master keys</caption>
      <thead><tr><th>Master key</th><th>Where</th><th>State</th><th className="num">Data keys</th></tr></thead>
      <tbody>
        {keys.map((key) => (
          <tr key={`${key.place}/${key.key ?? ""}`} data-master-key={key.key}>
            <td className="figure break-all">{key.key ?? "not written down"}</td>
            <td data-label="Where">{placeLabel(key.place)}</td>
            <td data-label="State"><Badge tone={key.current ? "good" : "warn"}>{key.current ? "wraps" : "only opens"}</Badge></td>
            <td data-label="Data keys" className="num">{formatCount(key.data_keys)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Facts({ data }: { data: InstallationEncryption }) {
  const own = data.own.rotations[0];
  const backup = data.last_backup;
  return (
    <dl className="mt-5 max-w-xl border-t border-rule-strong">
      <div className="flex flex-wrap items-baseline justify-between gap-x-6 border-b border-rule py-3">
        <dt className="text-soft">Keys in the key file</dt>
        <dd>{data.file_keys.length === 0 ? "none" : formatCount(data.file_keys.length)}</dd>
      </div>
      <div className="flex flex-wrap items-baseline justify-between gap-x-6 border-b border-rule py-3">
        <dt className="text-soft">The installation’s own key</dt>
        <dd>{own ? rotationText(own) : `key ${data.own.keys[0]?.version ?? 1}`}</dd>
      </div>
      <div className="flex flex-wrap items-baseline justify-between gap-x-6 border-b border-rule py-3">
        <dt className="text-soft">Last backup of this machine’s data</dt>
        <dd>
          {backup === null ? <>none known (<code className="figure text-[0.875em]">plasma backup create</code>)</> : <><Time at={backup.finished_at} />, {plural(backup.files, "file")}, {formatBytes(backup.bytes)}{!backup.database && ", without the database"}</>}
        </dd>
      </div>
    </dl>
  );
}
