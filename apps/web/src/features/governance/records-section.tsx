"use client";

import type { AuditRecord } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Download, Radio } from "lucide-react";
import { useMemo, useState } from "react";

import type { AuditLogName } from "@/data/audit/keys";
import { auditExportHref, auditRecordsQuery } from "@/data/audit/queries";
import { ActorName } from "@/features/identity/actor-name";
import { useParam, useSetParams } from "@/lib/use-param";
import { Badge } from "@/ui/badge";
import { Button, buttonClass } from "@/ui/button";
import { LoadMore } from "@/ui/load-more";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { filterOf, isWarning, NO_CHOICE } from "./audit-draft";
import { AuditFilters } from "./audit-filters";
import { RecordPanel } from "./record-panel";

export function RecordsSection({ log }: { log: AuditLogName | undefined }) {
  const [choice, setChoice] = useState(NO_CHOICE);
  const [watching, setWatching] = useState(false);
  const filter = useMemo(() => filterOf(choice, log), [choice, log]);
  const records = useInfiniteQuery(auditRecordsQuery(filter, watching));
  const open = useParam("record");
  const setParams = useSetParams();
  const filtered = Object.values(choice).some(Boolean);
  return (
    <>
      <AuditFilters choice={choice} onChange={setChoice} />
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <Button small aria-pressed={watching} variant={watching ? "primary" : "secondary"} icon={<Radio aria-hidden className="size-3.5" />} onClick={() => setWatching(!watching)}>
          {watching ? "Watching live" : "Watch live"}
        </Button>
        <ExportLinks filter={filter} />
      </div>
      <QueryView
        query={records}
        loading={<SkeletonRows rows={8} />}
        isEmpty={(data) => data.length === 0 && !records.hasNextPage}
        empty={<EmptyState title={filtered ? "No record is like that" : "Nothing was recorded yet"}>{filtered ? "Change or clear the filters." : "Every change, sign-in, refusal and export appears here within a second."}</EmptyState>}
      >
        {(data) => (
          <div aria-live={watching ? "polite" : undefined} aria-relevant="additions">
            {data.length === 0 && <p className="py-6 text-soft">Nothing yet among the newest records. Look further back with “Show more”.</p>}
            <table className="ledger stack">
              <thead><tr><th>When</th><th>Action</th><th>Subject</th><th>Done by</th><th>From</th></tr></thead>
              <tbody>{data.map((record) => <RecordRow key={record.id} record={record} current={record.id === open} onOpen={() => setParams({ record: record.id })} />)}</tbody>
            </table>
            <LoadMore query={records} />
          </div>
        )}
      </QueryView>
      <RecordPanel id={open} log={log} onClose={() => setParams({ record: null })} />
    </>
  );
}

function ExportLinks({ filter }: { filter: ReturnType<typeof filterOf> }) {
  const link = (format: "csv" | "jsonl" | "bundle", label: string, title: string) => (
    <a href={auditExportHref(format, filter)} download title={title} className={buttonClass("secondary", true)}>
      <Download aria-hidden className="size-3.5" />{label}
    </a>
  );
  return (
    <div role="group" aria-label="Export" className="flex flex-wrap gap-2">
      {link("csv", "CSV", "What the filters show, as a table")}
      {link("jsonl", "JSON lines", "What the filters show, for programs")}
      {link("bundle", "Whole log", "Everything with its hashes and checkpoints, for plasma audit verify")}
    </div>
  );
}

function RecordRow({ record, current, onOpen }: { record: AuditRecord; current: boolean; onOpen: () => void }) {
  return (
    <tr data-audit-record={record.id} aria-current={current || undefined} className={current ? "bg-sunken" : undefined}>
      <td><button type="button" className="link text-left" onClick={onOpen}><Time at={record.at} /></button></td>
      <td data-label="Action"><span className="figure text-[0.875rem] break-all">{record.type}</span> {isWarning(record.type) && <Badge tone="warn">Look</Badge>}{record.erased_by && <Badge>Erased</Badge>}</td>
      <td data-label="Subject"><span className="figure text-[0.8125rem] break-all text-soft">{record.subject}</span></td>
      <td data-label="Done by"><ActorName actor={record.actor} /></td>
      <td data-label="From" className="figure text-[0.8125rem]">{record.origin?.address ?? <span className="text-faint">—</span>}</td>
    </tr>
  );
}
