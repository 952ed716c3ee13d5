"use client";

import type { CallPayload, KeptText } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useDeletePayload } from "@/data/capture/mutations";
import { payloadQuery } from "@/data/capture/queries";
import { useDenied } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Section } from "@/ui/page-header";
import { QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

/** What the call asked and was answered, where it was kept. It is read on request only: every reading is recorded. */
export function PayloadSection({ callId }: { callId: string }) {
  const denied = useDenied("models:write");
  const [wanted, setWanted] = useState(false);
  const payload = useQuery({ ...payloadQuery(callId), enabled: wanted });
  return (
    <Section title="Request and answer" lead="Kept only where capture is on, with what is secret replaced. That you read it is recorded.">
      {wanted ? (
        <QueryView query={payload}>
          {(data) => (data ? <Payload payload={data} /> : <p className="text-soft">Nothing is kept of this call.</p>)}
        </QueryView>
      ) : (
        <Button reason={denied} onClick={() => setWanted(true)}>Show</Button>
      )}
    </Section>
  );
}

function Payload({ payload }: { payload: CallPayload }) {
  const remove = useDeletePayload();
  const [removing, setRemoving] = useState(false);
  return (
    <>
      <Part name="Request" kept={payload.request} />
      <Part name="Answer" kept={payload.answer} />
      <div className="mt-4 flex flex-wrap items-center justify-between gap-3">
        <p className="text-[0.875rem] text-soft">To be removed: <Time at={payload.expires_at} /></p>
        <Button small variant="danger" onClick={() => setRemoving(true)}>Remove now</Button>
      </div>
      <ConfirmDialog
        open={removing}
        onOpenChange={setRemoving}
        title="Remove request and answer?"
        action="Remove"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(payload.call_id, { onSuccess: () => setRemoving(false) })}
      >
        The record of the call, with its tokens, time and cost, stays.
      </ConfirmDialog>
    </>
  );
}

function Part({ name, kept }: { name: string; kept: KeptText | null }) {
  return (
    <div className="mt-4">
      <h3 className="eyebrow">{name}{kept?.truncated && " — a part was too long and is left out"}</h3>
      {kept ? (
        // The keyboard can scroll and copy it.
        <textarea readOnly aria-label={name} rows={Math.min(24, pretty(kept.text).split("\n").length + 1)} spellCheck={false} value={pretty(kept.text)} className="mt-2 w-full rounded-[5px] border border-rule bg-sunken p-4 font-mono text-[0.8125rem]" />
      ) : (
        <p className="mt-1 text-soft">Not kept.</p>
      )}
    </div>
  );
}

/** JSON with indents; what was cut and is none stays as it is. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
