"use client";

import { asProblem } from "@plasma/client/problem";
import type { StepUpOptions } from "@plasma/client/types";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useEffect, useRef, useState, useSyncExternalStore, type SyntheticEvent } from "react";

import { sessionKeys } from "@/data/session/keys";
import { stepUpGate } from "@/data/step-up/gate";
import { useStepUp } from "@/data/step-up/mutations";
import { stepUpOptionsQuery } from "@/data/step-up/queries";
import { passkeysWork } from "@/lib/webauthn";
import { Button, ButtonLink } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { CodeField } from "./code-field";
import { loginPath } from "./next-path";
import { PasskeyProblem } from "./passkey-support";

/** Opens when a request is refused because the last proof is long ago; the request goes on when it is given. */
export function StepUpDialog() {
  const open = useSyncExternalStore(stepUpGate.subscribe, stepUpGate.isAsking, () => false);
  return (
    <Dialog open={open} onOpenChange={(next) => !next && stepUpGate.settle(false)} title="Is it still you?" description="What you are about to do is of some weight. Prove once more that it is you; this counts for ten minutes.">
      {open && <Ways />}
    </Dialog>
  );
}

function Ways() {
  const options = useQuery(stepUpOptionsQuery);
  return (
    <QueryView query={options} loading={<SkeletonRows rows={1} />}>
      {(data) => <ProofForms options={data} />}
    </QueryView>
  );
}

function ProofForms({ options }: { options: StepUpOptions }) {
  const queryClient = useQueryClient();
  const proof = useStepUp();
  const withPasskey = options.passkey && passkeysWork();
  const done = {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: sessionKeys.me });
      stepUpGate.settle(true);
    },
  };
  const problem = proof.error ? asProblem(proof.error) : null;
  const besideField = problem?.field === "code" || problem?.field === "password";
  if (!withPasskey && !options.totp && !options.password) {
    return (
      <>
        <p>You have neither a password nor a second factor here. Sign in once more, then do it again.</p>
        <DialogActions><ButtonLink variant="primary" href={loginPath()}>Sign in again</ButtonLink></DialogActions>
      </>
    );
  }
  return (
    <div className="flex flex-col gap-5">
      <PasskeyProblem error={besideField ? null : proof.error} />
      {withPasskey && (
        <Button variant="primary" icon={<KeyRound aria-hidden className="size-4" />} busy={proof.isPending && proof.variables === "passkey"} onClick={() => proof.mutate("passkey", done)}>Use a passkey</Button>
      )}
      {options.totp && <TotpForm busy={proof.isPending} error={problem?.field === "code" ? problem.detail : null} onProof={(totp) => proof.mutate({ totp }, done)} />}
      {options.password && <PasswordForm focused={!withPasskey && !options.totp} busy={proof.isPending} error={problem?.field === "password" ? problem.detail : null} onProof={(password) => proof.mutate({ password }, done)} />}
    </div>
  );
}

function TotpForm({ busy, error, onProof }: { busy: boolean; error: string | null; onProof: (code: string) => void }) {
  const [code, setCode] = useState("");
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onProof(code);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <CodeField value={code} onChange={setCode} error={error} focused />
      <Button type="submit" busy={busy} disabled={code.length < 6} className="self-start">Confirm with the code</Button>
    </form>
  );
}

function PasswordForm({ busy, error, focused, onProof }: { busy: boolean; error: string | null; focused: boolean; onProof: (password: string) => void }) {
  const [password, setPassword] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focused) field.current?.focus();
  }, [focused]);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onProof(password);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <TextField ref={field} label="Your password" type="password" required autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} error={error} />
      <Button type="submit" busy={busy} disabled={password === ""} className="self-start">Confirm with the password</Button>
    </form>
  );
}
