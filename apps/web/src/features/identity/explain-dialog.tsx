"use client";

import { asProblem } from "@plasma/client/problem";
import type { AccessExplanation, Permission } from "@plasma/client/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { useExplainAccess } from "@/data/access/mutations";
import { apiKeysQuery } from "@/data/api-keys/queries";
import { rolesQuery } from "@/data/roles/queries";
import { usersQuery } from "@/data/users/queries";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";

import { emptyQuestion, questionOf, type QuestionDraft } from "./explain-question";
import { groupPermissions, meaningOf, permissionsOfRoles } from "./permission-groups";
import { PolicyMatches } from "./policy-matches";
import { useCan, useMe } from "./session";

/** "May X do Y?", answered with what decides it. */
export function ExplainDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Who may do what?" description="The answer says which role or policy decides. Nothing changes by asking." wide>
      <ExplainForm onClose={() => onOpenChange(false)} />
    </Dialog>
  );
}

const FIELDS = ["principal", "action", "resource.id", "resource.within", "resource.path", "context.address", "context.at", "context.method"];

function ExplainForm({ onClose }: { onClose: () => void }) {
  const me = useMe();
  const explain = useExplainAccess();
  const others = useCan("policies:read");
  const [draft, setDraft] = useState<QuestionDraft>(() => emptyQuestion("", me.permissions[0] ?? "content:read"));
  const change = (changes: Partial<QuestionDraft>) => setDraft((current) => ({ ...current, ...changes }));
  const problem = explain.error ? asProblem(explain.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    explain.mutate(questionOf(draft));
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !FIELDS.includes(problem.field ?? "") ? <ProblemNote error={explain.error} /> : null}
      <div className="grid gap-4 sm:grid-cols-2">
        <PrincipalField others={others} value={draft.principal} onChange={(principal) => change({ principal })} error={fieldError("principal")} />
        <ActionField value={draft.action} onChange={(action) => change({ action })} error={fieldError("action")} />
        <TextField label="Thing" optional placeholder="doc_…, col_…" autoComplete="off" spellCheck={false} value={draft.resource} onChange={(event) => change({ resource: event.target.value })} error={fieldError("resource.id")} hint="Its id." />
        <TextField label="It is in" optional placeholder="col_…" autoComplete="off" spellCheck={false} value={draft.within} onChange={(event) => change({ within: event.target.value })} error={fieldError("resource.within")} hint="Ids of what is around it, the outermost first." />
      </div>
      <details className="group border-t border-rule pt-3">
        <summary className="cursor-pointer font-medium">Circumstances</summary>
        <div className="mt-3 grid gap-4 sm:grid-cols-2">
          <TextField label="From the address" optional placeholder="as you now" autoComplete="off" spellCheck={false} value={draft.address} onChange={(event) => change({ address: event.target.value })} error={fieldError("context.address")} />
          <TextField label="At" optional type="datetime-local" value={draft.at} onChange={(event) => change({ at: event.target.value })} error={fieldError("context.at")} hint="In your own time; policies count hours in UTC." />
          <TextField label="Path" optional placeholder="/api/v1/…" autoComplete="off" spellCheck={false} value={draft.path} onChange={(event) => change({ path: event.target.value })} error={fieldError("resource.path")} />
          <SelectField label="Method" value={draft.method} onChange={(event) => change({ method: event.target.value })} error={fieldError("context.method")}>
            {["", "GET", "POST", "PUT", "PATCH", "DELETE"].map((method) => <option key={method} value={method}>{method === "" ? "not said (GET)" : method}</option>)}
          </SelectField>
          <SelectField label="Two factors" value={draft.multiFactor} onChange={(event) => change({ multiFactor: event.target.value as QuestionDraft["multiFactor"] })}>
            <option value="">as it is</option>
            <option value="yes">logged in with two</option>
            <option value="no">logged in with one</option>
          </SelectField>
        </div>
      </details>
      {explain.data && <Answer explanation={explain.data} />}
      <DialogActions>
        <Button type="submit" variant="primary" busy={explain.isPending}>Ask</Button>
        <Button variant="quiet" onClick={onClose}>Close</Button>
      </DialogActions>
    </form>
  );
}

function PrincipalField({ others, value, onChange, error }: { others: boolean; value: string; onChange: (principal: string) => void; error: string | null }) {
  const users = useInfiniteQuery({ ...usersQuery, enabled: useCan("users:read") && others });
  const keys = useInfiniteQuery({ ...apiKeysQuery, enabled: useCan("api_keys:read") && others });
  return (
    <SelectField label="Who" value={value} onChange={(event) => onChange(event.target.value)} error={error} hint={others ? undefined : "About others those may ask who see policies."}>
      <option value="">You</option>
      {users.data && users.data.length > 0 && (
        <optgroup label="People">
          {users.data.map((user) => <option key={user.id} value={user.id}>{user.name} ({user.email})</option>)}
        </optgroup>
      )}
      {keys.data && keys.data.length > 0 && (
        <optgroup label="API keys">
          {keys.data.filter((key) => key.revoked_at === null).map((key) => <option key={key.id} value={key.id}>{key.name} ({key.prefix}…)</option>)}
        </optgroup>
      )}
    </SelectField>
  );
}

function ActionField({ value, onChange, error }: { value: Permission; onChange: (action: Permission) => void; error: string | null }) {
  const me = useMe();
  const roles = useQuery({ ...rolesQuery, enabled: useCan("roles:read") });
  const known = [...new Set([...(roles.data ? permissionsOfRoles(roles.data) : []), ...me.permissions])];
  return (
    <SelectField label="May" value={value} onChange={(event) => onChange(event.target.value as Permission)} error={error}>
      {groupPermissions(known).map((group) => (
        <optgroup key={group.kind} label={group.label}>
          {group.permissions.map((permission) => <option key={permission} value={permission}>{permission} ({meaningOf(permission)})</option>)}
        </optgroup>
      ))}
    </SelectField>
  );
}

function Answer({ explanation }: { explanation: AccessExplanation }) {
  return (
    <div role="status" data-explanation={explanation.allowed ? "allowed" : "refused"} className="border-y border-rule-strong py-4">
      <p className="flex items-start gap-3">
        <Badge tone={explanation.allowed ? "good" : "bad"}>{explanation.allowed ? "Yes" : "No"}</Badge>
        <span className="min-w-0"><Message text={explanation.text} /></span>
      </p>
      <PolicyMatches policies={explanation.policies} className="mt-3" />
    </div>
  );
}
