"use client";

import type { Tenant } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useCancelDeletion, useResumeTenant, useSuspendTenant } from "@/data/tenants/mutations";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextAreaField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

interface TenantDialogProps {
  tenant: Tenant | null;
  onClose: () => void;
}

export function SuspendDialog({ tenant, onClose }: TenantDialogProps) {
  return (
    <Dialog open={tenant !== null} onOpenChange={(open) => !open && onClose()} title={`Suspend ${tenant?.name ?? ""}?`}>
      {tenant && <SuspendForm id={tenant.id} onClose={onClose} />}
    </Dialog>
  );
}

function SuspendForm({ id, onClose }: { id: string; onClose: () => void }) {
  const suspend = useSuspendTenant();
  const [reason, setReason] = useState("");
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    suspend.mutate({ id, reason: reason.trim() }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <p className="text-soft">Its people and API keys are refused at once, and its background work waits. Its owners can still take the data out. Nothing is lost.</p>
      {suspend.error ? <ProblemNote error={suspend.error} /> : null}
      <TextAreaField label="Reason" optional rows={3} maxLength={1000} value={reason} onChange={(event) => setReason(event.target.value)} hint="The workspace’s owners read it." />
      <DialogActions>
        <Button type="submit" variant="danger" busy={suspend.isPending}>Suspend workspace</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}

export function ResumeDialog({ tenant, onClose }: TenantDialogProps) {
  const resume = useResumeTenant();
  return <Question tenant={tenant} onClose={onClose} mutation={resume} title={`Resume ${tenant?.name ?? ""}?`} action="Resume workspace" text="Its people get in again, and its background work goes on." />;
}

export function TakeBackDialog({ tenant, onClose }: TenantDialogProps) {
  const cancel = useCancelDeletion();
  return <Question tenant={tenant} onClose={onClose} mutation={cancel} title={`Keep ${tenant?.name ?? ""}?`} action="Take the deletion back" text="The workspace is again what it was before its deletion was asked for." />;
}

interface QuestionProps extends TenantDialogProps {
  mutation: Pick<ReturnType<typeof useResumeTenant>, "mutate" | "isPending" | "error" | "reset">;
  title: string;
  action: string;
  text: string;
}

function Question({ tenant, onClose, mutation, title, action, text }: QuestionProps) {
  const close = () => {
    mutation.reset();
    onClose();
  };
  return (
    <ConfirmDialog
      open={tenant !== null}
      onOpenChange={(open) => !open && close()}
      title={title}
      action={action}
      danger={false}
      busy={mutation.isPending}
      error={mutation.error}
      onConfirm={() => tenant && mutation.mutate(tenant.id, { onSuccess: close })}
    >
      {text}
    </ConfirmDialog>
  );
}
