"use client";

import { useQuery } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useState } from "react";

import { collectionQuery } from "@/data/collections/queries";
import { useDeleteDocument } from "@/data/documents/mutations";
import { documentFileUrl, documentQuery, documentTextQuery } from "@/data/documents/queries";
import { useDenied } from "@/features/identity/session";
import { formatBytes, formatCount, formatDateTime, plural } from "@/lib/format";
import { useParam } from "@/lib/use-param";
import { usePollingMs } from "@/live/live-provider";
import { Badge } from "@/ui/badge";
import { Button, buttonClass } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Message } from "@/ui/message";
import { MissingId } from "@/ui/missing-id";
import { PageHeader } from "@/ui/page-header";
import { Bone, EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";

import { DOCUMENT_STATES, collectionHref, isUnfinished, mediaTypeName } from "./document-state";
import { DocumentAccessDialog } from "./document-access-dialog";
import { DocumentText } from "./document-text";
import { showValue } from "./metadata";

export function DocumentPage() {
  const collection = useParam("collection");
  const document = useParam("document");
  const passage = useParam("passage");
  if (!collection || !document) return <MissingId what="document" href="/knowledge/" back="All collections" />;
  return <DocumentView key={document} collection={collection} id={document} passage={passage} />;
}

function DocumentView({ collection, id, passage }: { collection: string; id: string; passage: string | null }) {
  const router = useRouter();
  const pollingMs = usePollingMs();
  const denied = useDenied("collections:write");
  const shelf = useQuery(collectionQuery(collection));
  const document = useQuery({
    ...documentQuery(collection, id),
    refetchInterval: (query) => (query.state.data && isUnfinished(query.state.data.state) ? pollingMs : false),
  });
  const ready = document.data?.state === "ready";
  const text = useQuery({ ...documentTextQuery(collection, id), enabled: ready });
  const remove = useDeleteDocument(collection);
  const [deleting, setDeleting] = useState(false);
  const accessDenied = useDenied("documents:write");
  const [sharing, setSharing] = useState(false);

  return (
    <QueryView query={document} loading={<div><Bone className="mb-10 h-10 w-1/2" /><SkeletonRows /></div>}>
      {(data) => (
        <>
          <PageHeader
            back={{ href: collectionHref(collection), label: shelf.data?.name ?? "Collection" }}
            title={data.title}
            lead={
              <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1 text-[0.875rem]">
                <Badge tone={DOCUMENT_STATES[data.state].tone}>{DOCUMENT_STATES[data.state].label}</Badge>
                <span>{mediaTypeName(data.media_type)}, {formatBytes(data.size_bytes)}</span>
                <span>{plural(data.chunk_count, "passage")}, {formatCount(data.character_count)} characters</span>
                {data.access && <span>restricted</span>}
                <span className="text-faint">added {formatDateTime(data.created_at)}</span>
                {Object.entries(data.metadata).map(([name, value]) => <span key={name} className="text-faint">{name}: {showValue(value)}</span>)}
              </p>
            }
            actions={
              <>
                <a href={documentFileUrl(collection, id)} className={buttonClass("secondary")}>Download the original</a>
                <Button reason={accessDenied} onClick={() => setSharing(true)}>Who may see it</Button>
                <Button variant="danger" reason={denied} onClick={() => setDeleting(true)}>Delete</Button>
              </>
            }
          />
          {ready ? (
            <QueryView query={text} loading={<SkeletonRows rows={6} tall />} isEmpty={(content) => content.text === ""} empty={<EmptyState title="This document has no text" />}>
              {(content) => <DocumentText content={content} passage={passage} />}
            </QueryView>
          ) : (
            <EmptyState title={data.state === "failed" ? "This document could not be read" : data.error ? "This document waits" : "This document is being read"}>
              <Message text={data.error?.detail ?? "Its text appears here as soon as it is ready."} />
              {data.error?.remedy && <p className="mt-2"><Message text={data.error.remedy} /></p>}
            </EmptyState>
          )}
          <DocumentAccessDialog document={data} open={sharing} onOpenChange={setSharing} />
          <ConfirmDialog
            open={deleting}
            onOpenChange={setDeleting}
            title="Delete this document?"
            action="Delete document"
            busy={remove.isPending}
            error={remove.error}
            onConfirm={() => remove.mutate(id, { onSuccess: () => router.replace(collectionHref(collection)) })}
          >
            It and its passages leave the search at once. This cannot be undone.
          </ConfirmDialog>
        </>
      )}
    </QueryView>
  );
}
