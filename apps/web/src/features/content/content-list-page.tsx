"use client";

import type { ContentSummary } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Ellipsis, Plus } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";

import { contentListQuery } from "@/data/content/queries";
import { useCreateContent, useDeleteContent } from "@/data/content/mutations";
import { useDenied } from "@/features/identity/session";
import { Badge } from "@/ui/badge";
import { Button, ButtonLink, IconButton } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { TextInput } from "@/ui/field";
import { LoadMore } from "@/ui/load-more";
import { Menu, MenuItem, MenuLink } from "@/ui/menu";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { contentHref } from "./content-href";

export function ContentListPage() {
  const router = useRouter();
  const documents = useInfiniteQuery(contentListQuery);
  const denied = useDenied("content:write");
  const create = useCreateContent();
  const remove = useDeleteContent();
  const [filter, setFilter] = useState("");
  const [deleting, setDeleting] = useState<ContentSummary | null>(null);

  const blank = () =>
    create.mutate({ title: "Untitled", body: "" }, { onSuccess: (document) => router.push(contentHref(document.id)) });

  const actions = (
    <>
      <Button busy={create.isPending} reason={denied} onClick={blank}>Blank document</Button>
      {denied ? (
        <Button variant="primary" reason={denied}>New draft from a brief</Button>
      ) : (
        <ButtonLink href="/content/draft/" variant="primary" icon={<Plus aria-hidden className="size-4" />}>New draft from a brief</ButtonLink>
      )}
    </>
  );

  return (
    <>
      <PageHeader title="Content" lead="What is being written: drafted from your knowledge with its sources, edited by people, every revision kept." actions={actions} />
      {create.error ? <ProblemNote error={create.error} className="mb-6" /> : null}
      <QueryView
        query={documents}
        loading={<SkeletonRows tall />}
        isEmpty={(data) => data.length === 0}
        empty={<EmptyState title="Nothing written yet" action={actions}>Describe what you need in a few lines, choose a collection, and a model drafts it with citations. Or start with a blank page.</EmptyState>}
      >
        {(data) => {
          const shown = data.filter((document) => document.title.toLowerCase().includes(filter.trim().toLowerCase()));
          return (
            <>
              {data.length > 5 && (
                <TextInput aria-label="Filter by title" placeholder="Filter by title" type="search" data-hotkey-search value={filter} onChange={(event) => setFilter(event.target.value)} className="mb-4 max-w-sm" />
              )}
              {shown.length === 0 && <p className="border-t border-rule py-6 text-soft">No title is like that.</p>}
              <ul aria-label="Content documents" className="border-t border-rule-strong">
                {shown.map((document) => (
                  <ContentRow key={document.id} document={document} denied={denied} onDelete={() => setDeleting(document)} />
                ))}
              </ul>
              <LoadMore query={documents} />
            </>
          );
        }}
      </QueryView>
      <ConfirmDialog
        open={deleting !== null}
        onOpenChange={(open) => !open && setDeleting(null)}
        title="Delete this document?"
        action="Delete document"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => deleting && remove.mutate(deleting.id, { onSuccess: () => setDeleting(null) })}
      >
        “{deleting?.title}” and all of its revisions are deleted. This cannot be undone.
      </ConfirmDialog>
    </>
  );
}

function ContentRow({ document, denied, onDelete }: { document: ContentSummary; denied: string | null; onDelete: () => void }) {
  return (
    <li className="group relative flex items-start gap-3 border-b border-rule py-5">
      <div className="min-w-0 flex-1">
        <h2 className="font-serif text-[1.375rem] leading-snug font-medium tracking-tight">
          <Link href={contentHref(document.id)} className="after:absolute after:inset-0 group-hover:text-accent">{document.title}</Link>
        </h2>
        <p className="mt-0.5 line-clamp-2 max-w-[72ch] font-serif text-[1.0625rem] text-soft">{document.excerpt}</p>
        <p className="mt-2 flex flex-wrap items-baseline gap-x-4 gap-y-1 text-[0.875rem] text-faint">
          <Badge>{document.state}</Badge>
          <span>revision {document.revision}</span>
          {document.call_id && <span>drafted by a model</span>}
          <span>changed <Time at={document.updated_at} /></span>
        </p>
      </div>
      <div className="relative z-10">
        <Menu trigger={<IconButton label={`Actions for ${document.title}`}><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
          <MenuLink href={contentHref(document.id)}>Open</MenuLink>
          <MenuItem danger disabled={denied !== null} onSelect={onDelete}>Delete</MenuItem>
        </Menu>
      </div>
    </li>
  );
}
