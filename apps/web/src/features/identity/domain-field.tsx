"use client";

import type { Branding } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useDeleteDomain, usePutDomain } from "@/data/tenants/mutations";
import { formatDate } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { useToast } from "@/ui/toast";

import { useDenied } from "./session";

/** A host name of the workspace's own. It shows the workspace's looks before anybody has signed in, once an operator has confirmed it. */
export function DomainField({ domain }: { domain: Branding["domain"] }) {
  const put = usePutDomain();
  const remove = useDeleteDomain();
  const denied = useDenied("tenants:write");
  const notify = useToast();
  const [name, setName] = useState(domain?.name ?? "");
  const error = put.error ?? remove.error;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    remove.reset();
    put.mutate(name.trim(), { onSuccess: () => notify("The domain is asked for") });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      {error ? <ProblemNote error={error} /> : null}
      <TextField
        label="Domain"
        optional
        readOnly={denied !== null}
        maxLength={253}
        spellCheck={false}
        autoComplete="off"
        placeholder="knowledge.example.com"
        value={name}
        onChange={(event) => setName(event.target.value)}
        hint="A host name that leads to this server. Its sign-in page shows this look once whoever runs the installation has confirmed it."
      />
      {domain && (
        <p className="text-[0.875rem] text-soft">
          {domain.confirmed_at === null
            ? <><Badge tone="warn">Not confirmed</Badge> asked for on {formatDate(domain.requested_at)}</>
            : <><Badge tone="good">Confirmed</Badge> on {formatDate(domain.confirmed_at)}</>}
        </p>
      )}
      <div className="flex flex-wrap gap-2.5">
        <Button type="submit" busy={put.isPending} reason={denied} disabled={name.trim() === "" || name.trim() === domain?.name}>Ask for this domain</Button>
        {domain && (
          <Button
            variant="quiet"
            busy={remove.isPending}
            reason={denied}
            onClick={() => {
              put.reset();
              remove.mutate(undefined, { onSuccess: () => { setName(""); notify("Domain removed"); } });
            }}
          >
            Remove
          </Button>
        )}
      </div>
    </form>
  );
}
