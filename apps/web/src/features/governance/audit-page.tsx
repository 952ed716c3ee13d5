"use client";

import { useState } from "react";

import type { AuditLogName } from "@/data/audit/keys";
import { useCan } from "@/features/identity/session";
import { useParam, useSetParams } from "@/lib/use-param";
import { PageHeader } from "@/ui/page-header";
import { Segmented } from "@/ui/segmented";
import { Tabs } from "@/ui/tabs";

import { LogSection } from "./log-section";
import { RecordsSection } from "./records-section";
import { SinksSection } from "./sinks-section";

const LOGS: { value: "workspace" | AuditLogName; label: string }[] = [
  { value: "workspace", label: "This workspace" },
  { value: "installation", label: "Installation" },
];

export function AuditPage() {
  const tab = useParam("tab") ?? "records";
  const setParams = useSetParams();
  const seesInstallation = useCan("installation:read");
  const [name, setName] = useState<"workspace" | AuditLogName>("workspace");
  const log = name === "installation" ? name : undefined;
  return (
    <>
      <PageHeader
        title="Audit log"
        lead="Who did what, when and from where. Nothing in this log can be changed, moved or removed without leaving a trace that anybody can prove."
        actions={seesInstallation ? <Segmented label="Which log" value={name} options={LOGS} onChange={setName} small /> : undefined}
      />
      <Tabs
        label="Audit"
        value={tab}
        onChange={(next) => setParams({ tab: next === "records" ? null : next })}
        items={[
          { value: "records", label: "Records", content: <RecordsSection key={name} log={log} /> },
          { value: "sinks", label: "Anchors and exports", content: <SinksSection key={name} log={log} /> },
          { value: "log", label: "Key and retention", content: <LogSection key={name} log={log} /> },
        ]}
      />
    </>
  );
}
