"use client";

import type { KnowledgeDocument } from "@plasma/client/types";
import { Ellipsis } from "lucide-react";
import Link from "next/link";

import { documentFileUrl } from "@/data/documents/queries";
import { useRetryDocument } from "@/data/documents/mutations";
import { formatBytes, formatCount, formatSecondsLeft, plural } from "@/lib/format";
import { useLiveProgress } from "@/live/live-provider";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { Menu, MenuItem, MenuLink, MenuSeparator } from "@/ui/menu";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";
import { Time } from "@/ui/time";

import { DOCUMENT_STATES, documentHref, isUnfinished, mediaTypeName } from "./document-state";

export function DocumentRow({ document, denied, onDelete }: { document: KnowledgeDocument; denied: string | null; onDelete: () => void }) {
  const live = useLiveProgress(document.id);
  // A finished state from the server wins over whatever progress came before it.
  const state = isUnfinished(document.state) && live ? live.state : document.state;
  const { label, tone } = DOCUMENT_STATES[state];
  const href = documentHref(document.collection_id, document.id);
  return (
    <li data-document={document.id} data-state={state} className="border-b border-rule py-3.5">
      <div className="flex items-start gap-3">
        <div className="min-w-0 flex-1">
          <div className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
            {document.state === "ready" ? (
              <Link href={href} className="font-medium break-words hover:text-accent hover:underline">{document.title}</Link>
            ) : (
              <span className="font-medium break-words">{document.title}</span>
            )}
            <Badge tone={tone}>{label}</Badge>
            {document.access && <span className="text-[0.8125rem] text-faint">restricted</span>}
          </div>
          <p className="mt-0.5 text-[0.875rem] text-soft tabular-nums">
            {mediaTypeName(document.media_type)}, {formatBytes(document.size_bytes)}
            {document.chunk_count > 0 && <>, {plural(document.chunk_count, "passage")}</>}
            <span className="text-faint"> · <Time at={document.updated_at} /></span>
          </p>
        </div>
        <Menu trigger={<IconButton label={`Actions for ${document.title}`}><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
          {document.state === "ready" && <MenuLink href={href}>Open</MenuLink>}
          <MenuLink href={documentFileUrl(document.collection_id, document.id)} external>Download the original</MenuLink>
          <MenuSeparator />
          <MenuItem danger disabled={denied !== null} onSelect={onDelete}>Delete</MenuItem>
        </Menu>
      </div>
      {isUnfinished(state) && (document.error ? <Waiting error={document.error} /> : <Ingestion document={document} />)}
      {document.state === "failed" && <Failure document={document} denied={denied} />}
    </li>
  );
}

function Ingestion({ document }: { document: KnowledgeDocument }) {
  const live = useLiveProgress(document.id);
  const progress = live ?? (document.progress && { ...document.progress, secondsLeft: document.progress.seconds_left });
  const total = progress && progress.total > 0 ? progress.total : null;
  const state = live?.state ?? document.state;
  return (
    <div className="mt-2.5 flex flex-wrap items-center gap-x-4 gap-y-1.5">
      <ProgressBar label={`${DOCUMENT_STATES[state].label} ${document.title}`} done={progress?.done ?? 0} total={total} className="min-w-40 flex-1" />
      <span className="text-[0.8125rem] text-soft tabular-nums">
        {total !== null && progress
          ? `${formatCount(progress.done)} of ${plural(total, "passage")}`
          : state === "queued"
            ? "waiting its turn"
            : "reading the file"}
        {progress && progress.secondsLeft !== null && `, ${formatSecondsLeft(progress.secondsLeft)}`}
      </span>
    </div>
  );
}

/** Something is in the way, such as a model that is not installed; the server goes on by itself once it is there. */
function Waiting({ error }: { error: NonNullable<KnowledgeDocument["error"]> }) {
  return (
    <div className="mt-2.5 rounded-[5px] border-l-3 border-warn bg-warn-soft px-4 py-3">
      <p>Waiting. <Message text={error.detail} /></p>
      {error.remedy && <p className="mt-1 text-soft"><Message text={error.remedy} /></p>}
    </div>
  );
}

function Failure({ document, denied }: { document: KnowledgeDocument; denied: string | null }) {
  const retry = useRetryDocument(document.collection_id);
  return (
    <div className="mt-2.5 rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3">
      <p><Message text={document.error?.detail ?? "No reason was recorded"} /></p>
      {document.error?.remedy && <p className="mt-1 text-soft"><Message text={document.error.remedy} /></p>}
      <div className="mt-2.5">
        <Button small busy={retry.isPending} reason={denied} onClick={() => retry.mutate(document.id)}>Try again</Button>
      </div>
      {retry.error ? <ProblemNote error={retry.error} className="mt-3" /> : null}
    </div>
  );
}
