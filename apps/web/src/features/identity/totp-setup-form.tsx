"use client";

import { asProblem } from "@plasma/client/problem";
import type { TotpSetup } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { Button } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";

import { CodeField } from "./code-field";
import { qrAddress } from "./qr-address";

interface TotpSetupFormProps {
  setup: TotpSetup;
  busy: boolean;
  error: unknown;
  onConfirm: (code: string) => void;
}

/** The QR code, the secret for those who cannot scan, and the code that proves that it has arrived. */
export function TotpSetupForm({ setup, busy, error, onConfirm }: TotpSetupFormProps) {
  const [code, setCode] = useState("");
  const problem = error ? asProblem(error) : null;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onConfirm(code);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <p>Scan this with an authenticator application, then enter the code that it shows.</p>
      {/* White around it in the dark too: cameras need the contrast. */}
      <img src={qrAddress(setup.qr_svg)} alt="QR code for an authenticator application" width={208} height={208} className="self-center rounded-[5px] border border-rule" />
      <p className="text-[0.875rem] text-soft">
        Cannot scan it? Enter this key: <span data-totp-secret className="figure break-all text-ink select-all">{setup.secret}</span>
      </p>
      <CodeField value={code} onChange={setCode} error={problem?.field === "code" ? problem.detail : null} />
      {problem && problem.field !== "code" ? <ProblemNote error={error} /> : null}
      <Button type="submit" variant="primary" busy={busy} disabled={code.length < 6} className="self-start">Confirm</Button>
    </form>
  );
}
