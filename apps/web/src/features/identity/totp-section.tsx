"use client";

import type { SecurityOverview, TotpSetup } from "@plasma/client/types";
import { useState } from "react";

import { useBeginTotp, useConfirmTotp, useRemoveTotp, useRenewRecoveryCodes } from "@/data/security/mutations";
import { plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Dialog, DialogActions } from "@/ui/dialog";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { Time } from "@/ui/time";
import { useToast } from "@/ui/toast";

import { RecoveryCodes } from "./recovery-codes";
import { TotpSetupForm } from "./totp-setup-form";

interface SectionProps {
  overview: SecurityOverview;
  /** New recovery codes are shown by the page, whichever part they come from. */
  onCodes: (codes: string[]) => void;
}

export function TotpSection({ overview, onCodes }: SectionProps) {
  const begin = useBeginTotp();
  const confirm = useConfirmTotp();
  const remove = useRemoveTotp();
  const notify = useToast();
  const [setup, setSetup] = useState<TotpSetup | null>(null);
  const [removing, setRemoving] = useState(false);
  const has = overview.totp_since !== null;

  const onConfirm = (code: string) =>
    confirm.mutate(code, {
      onSuccess: ({ recovery_codes }) => {
        setSetup(null);
        confirm.reset();
        notify("Authenticator set up");
        if (recovery_codes) onCodes(recovery_codes);
      },
    });

  return (
    <Section
      title="Authenticator application"
      lead="Shows a new code every thirty seconds, also without a network."
      actions={
        <div className="flex flex-wrap gap-2.5">
          <Button busy={begin.isPending} onClick={() => begin.mutate(undefined, { onSuccess: setSetup })}>{has ? "Use another one" : "Set up"}</Button>
          {has && <Button variant="danger" onClick={() => setRemoving(true)}>Remove</Button>}
        </div>
      }
    >
      {begin.error ? <ProblemNote error={begin.error} className="mb-4" /> : null}
      <p className="flex items-center gap-2.5">
        {overview.totp_since === null ? <><Badge>Off</Badge> Not set up</> : <><Badge tone="good">On</Badge> <span>Since <Time at={overview.totp_since} /></span></>}
      </p>
      <Dialog open={setup !== null} onOpenChange={(open) => !open && setSetup(null)} title="Set up an authenticator">
        {setup && <TotpSetupForm setup={setup} busy={confirm.isPending} error={confirm.error} onConfirm={onConfirm} />}
      </Dialog>
      <ConfirmDialog
        open={removing}
        onOpenChange={setRemoving}
        title="Remove the authenticator?"
        action="Remove"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(undefined, { onSuccess: () => setRemoving(false) })}
      >
        Its codes are good no longer. Without another second factor your password alone signs you in.
      </ConfirmDialog>
    </Section>
  );
}

export function RecoveryCodesSection({ overview, onCodes }: SectionProps) {
  const renew = useRenewRecoveryCodes();
  const [asking, setAsking] = useState(false);
  if (overview.totp_since === null && overview.passkeys.length === 0) return null;
  return (
    <Section
      title="Recovery codes"
      lead="For the day when you do not have your second factor with you. Each is good once."
      actions={<Button onClick={() => setAsking(true)}>Make new ones</Button>}
    >
      <p className="flex items-center gap-2.5">
        <Badge tone={overview.recovery_codes > 3 ? "good" : "warn"}>{plural(overview.recovery_codes, "code")} left</Badge>
      </p>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title="Make new recovery codes?"
        action="Make new ones"
        danger={false}
        busy={renew.isPending}
        error={renew.error}
        onConfirm={() =>
          renew.mutate(undefined, {
            onSuccess: ({ recovery_codes }) => {
              setAsking(false);
              onCodes(recovery_codes);
            },
          })
        }
      >
        The old ones are good no longer.
      </ConfirmDialog>
    </Section>
  );
}

/** The one moment in which new codes are seen. */
export function RecoveryCodesDialog({ codes, onClose }: { codes: string[] | null; onClose: () => void }) {
  return (
    <Dialog open={codes !== null} onOpenChange={(open) => !open && onClose()} title="Your recovery codes" description="They are shown only now. Keep them where you find them without your phone.">
      {codes && <RecoveryCodes codes={codes} />}
      <DialogActions><Button variant="primary" onClick={onClose}>I have kept them</Button></DialogActions>
    </Dialog>
  );
}
