"use client";

import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode, type SyntheticEvent } from "react";

import { overviewQuery } from "@/data/system/queries";
import { useRenameTenant } from "@/data/tenants/mutations";
import { formatDate, formatDuration } from "@/lib/format";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { PageHeader, Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { useToast } from "@/ui/toast";

import { BrandingSection } from "./branding-section";
import { DeletionSection } from "./deletion-section";
import { ExportSection } from "./export-section";
import { QuotasSection } from "./quotas-section";
import { useDenied, useMe } from "./session";

export function WorkspacePage() {
  const me = useMe();
  const overview = useQuery(overviewQuery);
  return (
    <>
      <PageHeader title="Workspace" lead="The room that your team shares. Nothing in it can be seen from another one." />
      <Section title="Name"><TenantForm id={me.tenant.id} name={me.tenant.name} /></Section>
      <BrandingSection />
      <QuotasSection />
      <ExportSection />
      <DeletionSection />
      <Section title="About">
        <QueryView query={overview} loading={<SkeletonRows rows={3} />}>
          {(data) => (
            <dl className="max-w-xl border-t border-rule-strong">
              <Fact name="Version"><span className="figure">{data.version}</span></Fact>
              <Fact name="Database">{data.database === "postgres" ? "Postgres" : "SQLite"}</Fact>
              <Fact name="Running for">{formatDuration(data.uptime_ms)}</Fact>
              <Fact name="Workspace since">{formatDate(me.tenant.created_at)}</Fact>
              <Fact name="Workspace id"><span className="figure text-[0.875rem] break-all">{me.tenant.id}</span></Fact>
              <Fact name="API reference"><a href="/docs/" className="link">/docs/</a></Fact>
            </dl>
          )}
        </QueryView>
      </Section>
    </>
  );
}

function TenantForm({ id, name: current }: { id: string; name: string }) {
  const rename = useRenameTenant();
  const denied = useDenied("tenants:write");
  const notify = useToast();
  const [name, setName] = useState(current);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    rename.mutate({ id, name: name.trim() }, { onSuccess: () => notify("Workspace renamed") });
  };
  return (
    <form onSubmit={submit} className="flex max-w-md flex-col items-start gap-4">
      <TextField label="Workspace name" required maxLength={200} readOnly={denied !== null} value={name} onChange={(event) => setName(event.target.value)} className="w-full" />
      {rename.error ? <ProblemNote error={rename.error} /> : null}
      <Button type="submit" busy={rename.isPending} reason={denied} disabled={name.trim() === current || name.trim() === ""}>Rename</Button>
    </form>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex items-baseline justify-between gap-6 border-b border-rule py-3">
      <dt className="shrink-0 text-soft">{name}</dt>
      <dd className="min-w-0 text-right">{children}</dd>
    </div>
  );
}
