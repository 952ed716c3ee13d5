"use client";

import { asProblem } from "@plasma/client/problem";
import type { LoginMethod, LoginPolicy } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { usePutLoginPolicy } from "@/data/login-policy/mutations";
import { Button } from "@/ui/button";
import { CheckField, SelectField, TextAreaField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { useToast } from "@/ui/toast";

import { CHOOSABLE, draftOf, draftProblem, GRACES, IDLE_TIMES, lengthInWords, policyOf, SESSION_LENGTHS, withStored, type LoginPolicyDraft } from "./login-policy-draft";
import { useDenied } from "./session";

export function LoginPolicyForm({ policy }: { policy: LoginPolicy }) {
  const put = usePutLoginPolicy();
  const denied = useDenied("security:write");
  const notify = useToast();
  const [draft, setDraft] = useState(() => draftOf(policy));
  const problem = put.error ? asProblem(put.error) : null;
  const mistake = draftProblem(draft);
  const rangesError = problem?.field?.startsWith("ip_ranges") ? problem.detail : null;
  const change = (part: Partial<LoginPolicyDraft>) => setDraft((current) => ({ ...current, ...part }));
  const allow = (method: LoginMethod, allowed: boolean) =>
    change({ methods: CHOOSABLE.map((choice) => choice.method).filter((other) => (other === method ? allowed : draft.methods.includes(other))) });

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (mistake === null && denied === null) put.mutate(policyOf(draft), { onSuccess: () => notify("Login policy saved") });
  };

  return (
    <form onSubmit={submit} className="flex max-w-xl flex-col gap-7">
      <fieldset className="flex flex-col gap-3">
        <legend className="mb-3 text-[0.875rem] font-medium">Allowed ways</legend>
        {CHOOSABLE.map((choice) => (
          <CheckField key={choice.method} label={choice.label} hint={choice.hint} disabled={denied !== null} checked={draft.methods.includes(choice.method)} onChange={(event) => allow(choice.method, event.target.checked)} />
        ))}
      </fieldset>
      <fieldset className="flex flex-col gap-4">
        <legend className="mb-3 text-[0.875rem] font-medium">Second factor</legend>
        <CheckField label="Everybody needs a second factor" hint="An authenticator or a passkey; a sign-in at an identity provider counts as one." disabled={denied !== null} checked={draft.mfaRequired} onChange={(event) => change({ mfaRequired: event.target.checked })} />
        {draft.mfaRequired && (
          <SelectField label="Time to set one up" value={draft.graceSeconds} disabled={denied !== null} onChange={(event) => change({ graceSeconds: Number(event.target.value) })} hint="For those who have none, from this change on or from joining." className="max-w-xs">
            {withStored(GRACES, draft.graceSeconds).map((seconds) => <option key={seconds} value={seconds}>{seconds === 0 ? "None: at the next sign-in" : lengthInWords(seconds)}</option>)}
          </SelectField>
        )}
      </fieldset>
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField label="A session ends after" value={draft.sessionSeconds} disabled={denied !== null} onChange={(event) => change({ sessionSeconds: Number(event.target.value) })} error={problem?.field === "session_seconds" ? problem.detail : null}>
          {withStored(SESSION_LENGTHS, draft.sessionSeconds).map((seconds) => <option key={seconds} value={seconds}>{lengthInWords(seconds)}</option>)}
        </SelectField>
        <SelectField label="Without use after" value={Math.min(draft.idleSeconds, draft.sessionSeconds)} disabled={denied !== null} onChange={(event) => change({ idleSeconds: Number(event.target.value) })} error={problem?.field === "idle_seconds" ? problem.detail : null}>
          {withStored(IDLE_TIMES.filter((seconds) => seconds <= draft.sessionSeconds), Math.min(draft.idleSeconds, draft.sessionSeconds)).map((seconds) => <option key={seconds} value={seconds}>{lengthInWords(seconds)}</option>)}
        </SelectField>
      </div>
      <TextAreaField label="Only from these addresses" optional rows={3} value={draft.ranges} readOnly={denied !== null} onChange={(event) => change({ ranges: event.target.value })} error={rangesError} hint="One range on each line, as in 192.0.2.0/24. Empty: from everywhere." />
      {mistake && <p role="alert" className="text-bad">{mistake}</p>}
      {problem && !rangesError && problem.field !== "session_seconds" && problem.field !== "idle_seconds" ? <ProblemNote error={put.error} /> : null}
      <Button type="submit" variant="primary" busy={put.isPending} reason={denied} disabled={mistake !== null} className="self-start">Save</Button>
    </form>
  );
}
