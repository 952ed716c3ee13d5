"use client";

import type { Application, ApplicationWithSecret } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useRotateApplicationSecret } from "@/data/applications/mutations";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy-button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

const OVERLAPS = [
  { seconds: 86_400, label: "For another day" },
  { seconds: 604_800, label: "For another week" },
  { seconds: 3_600, label: "For another hour" },
  { seconds: 0, label: "Not at all: it may be known to others" },
];

/** What a new application or a new secret is used with; the secret is shown once. */
export function MadeDialog({ made, onClose }: { made: ApplicationWithSecret | null; onClose: () => void }) {
  return (
    <Dialog open={made !== null} onOpenChange={(open) => !open && onClose()} title={made?.name ?? ""} wide>
      {made && (
        <>
          <p className="text-soft">Its id, <code className="figure">client_id</code>:</p>
          <Shown text={made.id} label="Copy id" />
          {made.client_secret && (
            <>
              <p className="mt-5">Its secret, <code className="figure">client_secret</code>. Copy it now: only its fingerprint is stored, so it cannot be shown again.</p>
              <Shown text={made.client_secret} label="Copy secret" secret />
            </>
          )}
          <p className="mt-5 text-[0.875rem] text-soft">Everything else is found at <code className="figure break-all">{location.origin}/.well-known/openid-configuration</code></p>
          <DialogActions><Button variant="primary" onClick={onClose}>{made.client_secret ? "I have copied it" : "Close"}</Button></DialogActions>
        </>
      )}
    </Dialog>
  );
}

function Shown({ text, label, secret }: { text: string; label: string; secret?: boolean }) {
  return (
    <>
      <p data-created-secret={secret || undefined} className={`figure mt-2 rounded-[5px] px-4 py-3 break-all select-all ${secret ? "bg-marker text-on-marker" : "bg-sunken"}`}>{text}</p>
      <div className="mt-3"><CopyButton text={text} label={label} /></div>
    </>
  );
}

export function RotateDialog({ application, onClose, onRotated }: { application: Application | null; onClose: () => void; onRotated: (made: ApplicationWithSecret) => void }) {
  return (
    <Dialog open={application !== null} onOpenChange={(open) => !open && onClose()} title={`A new secret for “${application?.name ?? ""}”`}>
      {application && <RotateForm key={application.id} application={application} onClose={onClose} onRotated={onRotated} />}
    </Dialog>
  );
}

function RotateForm({ application, onClose, onRotated }: { application: Application; onClose: () => void; onRotated: (made: ApplicationWithSecret) => void }) {
  const rotate = useRotateApplicationSecret();
  const [overlapSeconds, setOverlapSeconds] = useState(86_400);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    rotate.mutate({ id: application.id, overlapSeconds }, { onSuccess: onRotated });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <SelectField label="The old secret goes on working" value={overlapSeconds} onChange={(event) => setOverlapSeconds(Number(event.target.value))} hint="Long enough to bring the new one to every server.">
        {OVERLAPS.map((overlap) => <option key={overlap.seconds} value={overlap.seconds}>{overlap.label}</option>)}
      </SelectField>
      {rotate.error ? <ProblemNote error={rotate.error} /> : null}
      <DialogActions>
        <Button type="submit" variant="primary" busy={rotate.isPending}>Make a new secret</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
