"use client";

import type { EnrolledLogin, PendingLogin } from "@plasma/client/types";
import { KeyRound, Smartphone } from "lucide-react";
import { useState } from "react";

import { useConfirmEnrolledTotp, useEnrollPasskey, useEnrollTotp } from "@/data/login/mutations";
import { Button } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";

import { deviceName } from "../device-name";
import { PasskeyProblem, usePasskeysWork } from "../passkey-support";
import { TotpSetupForm } from "../totp-setup-form";
import { LoginLayout } from "./login-layout";

/** The workspace requires a second factor: it is set up here, and then the login goes on. */
export function EnrollStep({ pending, onEnrolled, onStartAgain }: { pending: PendingLogin; onEnrolled: (enrolled: EnrolledLogin) => void; onStartAgain: () => void }) {
  const possible = usePasskeysWork();
  const passkey = useEnrollPasskey();
  const totp = useEnrollTotp();
  const confirm = useConfirmEnrolledTotp();
  const [withTotp, setWithTotp] = useState(false);
  const token = pending.pending_token;

  const beginTotp = () => totp.mutate(token, { onSuccess: () => setWithTotp(true) });
  const makePasskey = () => passkey.mutate({ pendingToken: token, name: deviceName(navigator.userAgent) }, { onSuccess: onEnrolled });

  return (
    <LoginLayout title="Set up a second factor" lead="Your workspace requires one. It takes a minute, and protects your account when your password gets into wrong hands.">
      {withTotp && totp.data ? (
        <TotpSetupForm setup={totp.data} busy={confirm.isPending} error={confirm.error} onConfirm={(code) => confirm.mutate({ pending_token: token, code }, { onSuccess: onEnrolled })} />
      ) : (
        <>
          <PasskeyProblem error={passkey.error} />
          {totp.error ? <ProblemNote error={totp.error} /> : null}
          {pending.may_enroll.includes("passkey") && possible && (
            <Button variant="primary" icon={<KeyRound aria-hidden className="size-4" />} busy={passkey.isPending} onClick={makePasskey} className="w-full">Make a passkey on this device</Button>
          )}
          {pending.may_enroll.includes("totp") && (
            <Button icon={<Smartphone aria-hidden className="size-4" />} busy={totp.isPending} onClick={beginTotp} className="w-full">Use an authenticator application</Button>
          )}
        </>
      )}
      <button type="button" className="link self-start text-[0.875rem]" onClick={onStartAgain}>Start again</button>
    </LoginLayout>
  );
}
