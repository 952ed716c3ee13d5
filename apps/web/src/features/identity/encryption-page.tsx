"use client";

import type { DataKey, KeyRotation } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { RotateCw } from "lucide-react";
import { useState } from "react";

import { useRotateDataKey } from "@/data/encryption/mutations";
import { encryptionQuery } from "@/data/encryption/queries";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Message } from "@/ui/message";
import { PageHeader, Section } from "@/ui/page-header";
import { ProgressBar } from "@/ui/progress-bar";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { isRunning, placeLabel, rotateReason, rotationState, rotationText } from "./encryption-labels";
import { InstallationEncryptionSection } from "./installation-encryption-section";
import { useCan, useDenied } from "./session";

/** The keys that seal this workspace's secrets, and for operators the keys that wrap them. */
export function EncryptionPage() {
  const status = useQuery(encryptionQuery);
  const denied = useDenied("encryption:write");
  const seesInstallation = useCan("installation:read");
  const rotate = useRotateDataKey();
  const [asking, setAsking] = useState(false);
  const newest = status.data?.rotations[0];
  const action = (
    <Button variant="primary" icon={<RotateCw aria-hidden className="size-4" />} reason={denied ?? rotateReason(newest)} onClick={() => setAsking(true)}>
      {newest?.state === "stuck" ? "Take up the rotation" : "Rotate the key"}
    </Button>
  );
  return (
    <>
      <PageHeader
        title="Encryption"
        lead="Secrets of this workspace, such as the keys of providers, are stored only sealed with a key of its own. A new key can take over at any time, while everything runs."
        actions={action}
      />
      <Section title="Keys" lead={status.data && `New keys are wrapped with the master key ${placeLabel(status.data.master_key)}.`}>
        <QueryView
          query={status}
          isEmpty={(data) => data.keys.length === 0}
          empty={<EmptyState title="No key yet">The first key is made when the first secret is stored.</EmptyState>}
        >
          {(data) => (
            <>
              <RotationNote rotation={data.rotations[0]} />
              <KeyTable keys={data.keys} />
            </>
          )}
        </QueryView>
      </Section>
      {status.data && status.data.rotations.length > 0 && (
        <Section title="Rotations"><RotationTable rotations={status.data.rotations} /></Section>
      )}
      {seesInstallation && <InstallationEncryptionSection />}
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title="Rotate the key of this workspace?"
        action="Rotate the key"
        danger={false}
        busy={rotate.isPending}
        error={rotate.error}
        onConfirm={() => rotate.mutate(undefined, { onSuccess: () => setAsking(false) })}
      >
        A new key seals secrets from now on. What the old one sealed is sealed again in the background, and then the old key is destroyed. Nobody notices.
      </ConfirmDialog>
    </>
  );
}

/** The rotation that runs or is stuck, if one does. */
export function RotationNote({ rotation }: { rotation: KeyRotation | undefined }) {
  if (rotation === undefined || rotation.state === "done") return null;
  return (
    <div role="status" className="mb-6 max-w-xl">
      <p className={rotation.state === "stuck" ? "text-bad" : "text-soft"}>{rotationText(rotation)}</p>
      {rotation.error && <p className="mt-1 text-[0.875rem] text-bad"><Message text={rotation.error} /></p>}
      {isRunning(rotation) && <ProgressBar label="Values that are sealed again" done={rotation.done} total={rotation.total || null} className="mt-2" />}
    </div>
  );
}

export function KeyTable({ keys }: { keys: DataKey[] }) {
  return (
    <table className="ledger stack">
      <thead><tr><th>Key</th><th>State</th><th>Made</th><th>Replaced</th><th>Master key</th></tr></thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key.version} data-key-version={key.version}>
            <td className="figure font-medium">{key.version}</td>
            <td data-label="State"><Badge tone={key.active ? "good" : "warn"}>{key.active ? "seals" : "only opens"}</Badge></td>
            <td data-label="Made"><Time at={key.created_at} /></td>
            <td data-label="Replaced">{key.retired_at === null ? "—" : <Time at={key.retired_at} />}</td>
            <td data-label="Master key">{placeLabel(key.wrapped_by)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function RotationTable({ rotations }: { rotations: KeyRotation[] }) {
  return (
    <table className="ledger stack">
      <thead><tr><th>To key</th><th>State</th><th>Begun</th><th>Old key destroyed</th><th className="num">Values</th></tr></thead>
      <tbody>
        {rotations.map((rotation) => {
          const state = rotationState(rotation);
          return (
            <tr key={rotation.version} data-rotation={rotation.state}>
              <td className="figure">{rotation.version}</td>
              <td data-label="State"><Badge tone={state.tone}>{state.label}</Badge></td>
              <td data-label="Begun"><Time at={rotation.started_at} /></td>
              <td data-label="Old key destroyed">{rotation.finished_at === null ? "not yet" : <Time at={rotation.finished_at} />}</td>
              <td data-label="Values" className="num">{rotation.total}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
