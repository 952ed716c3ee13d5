"use client";

import type { AuditDetail } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { auditKeys, type AuditLogName } from "@/data/audit/keys";
import { auditRecordQuery } from "@/data/audit/queries";
import { ActorName } from "@/features/identity/actor-name";
import { formatCount, toDate } from "@/lib/format";
import { checkInclusion, readCheckpoint } from "@/lib/merkle";
import { Badge } from "@/ui/badge";
import { CopyButton } from "@/ui/copy-button";
import { SidePanel } from "@/ui/dialog";
import { QueryView } from "@/ui/query-view";

import { changeRows, detailRows } from "./audit-diff";

export function RecordPanel({ id, log, onClose }: { id: string | null; log: AuditLogName | undefined; onClose: () => void }) {
  const detail = useQuery({ ...auditRecordQuery(id ?? "", log), enabled: id !== null });
  return (
    <SidePanel open={id !== null} onOpenChange={(open) => !open && onClose()} eyebrow="Audit record" title={detail.data?.record.type ?? "Record"}>
      {id !== null && <QueryView query={detail}>{(data) => <Contents detail={data} />}</QueryView>}
    </SidePanel>
  );
}

function Contents({ detail }: { detail: AuditDetail }) {
  const { record } = detail;
  const data = record.data as Record<string, unknown>;
  const changes = changeRows(data);
  const details = detailRows(data);
  return (
    <>
      <ProofBadge detail={detail} />
      <dl className="mt-5 grid grid-cols-[7rem_minmax(0,1fr)] gap-x-4 gap-y-2 text-[0.875rem]">
        <Row name="When"><time dateTime={toDate(record.at).toISOString()}>{toDate(record.at).toISOString().replace("T", " ").replace("Z", " UTC")}</time></Row>
        <Row name="Done by"><ActorName actor={record.actor} /></Row>
        <Row name="Subject"><Mono>{record.subject}</Mono></Row>
        <Row name="From">{record.origin?.address ? <Mono>{record.origin.address}</Mono> : "no request"}</Row>
        {record.origin?.user_agent && <Row name="With">{record.origin.user_agent}</Row>}
        <Row name="Request"><Mono>{record.request_id}</Mono></Row>
        <Row name="Record"><Mono>{record.id}</Mono>, number {formatCount(record.leaf)}</Row>
      </dl>
      {record.erased_by && <p className="mt-5 rounded-[5px] border-l-3 border-rule-strong bg-sunken px-4 py-3">The details were erased. The record <Mono>{record.erased_by}</Mono> tells of it; the hash stays.</p>}
      {changes.length > 0 && (
        <section className="mt-6" aria-label="What changed">
          <h3 className="eyebrow mb-2">What changed</h3>
          <table className="ledger">
            <thead><tr><th>Field</th><th>Before</th><th>After</th></tr></thead>
            <tbody>
              {changes.map((row) => (
                <tr key={row.field}>
                  <td className="figure text-[0.8125rem] break-all">{row.field}</td>
                  <td className="break-words">{row.before === null ? <span className="text-faint">—</span> : <del className="rounded-[2px] bg-bad-soft text-bad no-underline">{row.before}</del>}</td>
                  <td className="break-words">{row.after === null ? <span className="text-faint">—</span> : <ins className="rounded-[2px] bg-good-soft text-good no-underline">{row.after}</ins>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {details.length > 0 && (
        <section className="mt-6" aria-label="Details">
          <h3 className="eyebrow mb-2">Details</h3>
          <dl className="grid grid-cols-[7rem_minmax(0,1fr)] gap-x-4 gap-y-1.5 text-[0.875rem]">
            {details.map(([name, value]) => <Row key={name} name={name}>{value}</Row>)}
          </dl>
        </section>
      )}
      <Evidence detail={detail} />
    </>
  );
}

/** The proof is checked by the server and once more here, where the browser can. */
function ProofBadge({ detail }: { detail: AuditDetail }) {
  const { record, proof } = detail;
  const note = proof ? readCheckpoint(proof.checkpoint.note) : null;
  const checked = useQuery({
    queryKey: [...auditKeys.all, "checked", record.id, proof?.checkpoint.size ?? null],
    enabled: proof !== null && note !== null && record.erased_by === null,
    staleTime: Infinity,
    queryFn: () => (proof && note ? checkInclusion({ canonical: detail.canonical, leaf: record.leaf, size: note.size, path: proof.path, root: note.root }) : null),
  });
  if (!proof) return <Badge>Waits for the next checkpoint, a minute at most</Badge>;
  const size = formatCount(proof.checkpoint.size);
  if (!proof.verified || checked.data === false) return <Badge tone="bad">Does not match checkpoint {size}</Badge>;
  return (
    <p className="flex flex-wrap items-center gap-2">
      <Badge tone="good">Verified to checkpoint {size}</Badge>
      {checked.data === true && <span className="text-[0.8125rem] text-soft">checked by this browser too</span>}
    </p>
  );
}

function Evidence({ detail }: { detail: AuditDetail }) {
  return (
    <details className="mt-6">
      <summary className="text-[0.875rem] text-soft">Evidence</summary>
      <div className="mt-3 flex flex-col gap-4 text-[0.8125rem]">
        <Evident title="Text that was hashed" text={detail.canonical} />
        <Evident title="Hash of the leaf" text={detail.leaf_hash} />
        {detail.proof && <Evident title="Checkpoint" text={detail.proof.checkpoint.note} />}
        {detail.proof && <Evident title="Path to its root" text={detail.proof.path.join("\n")} />}
      </div>
    </details>
  );
}

function Evident({ title, text }: { title: string; text: string }) {
  return (
    <div>
      <div className="mb-1 flex items-center justify-between gap-3"><span className="eyebrow">{title}</span><CopyButton text={text} /></div>
      <pre className="figure max-h-48 overflow-auto rounded-[5px] bg-sunken p-3 break-all whitespace-pre-wrap">{text}</pre>
    </div>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="break-words text-faint">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}

function Mono({ children }: { children: ReactNode }) {
  return <span className="figure text-[0.8125rem] break-all">{children}</span>;
}
