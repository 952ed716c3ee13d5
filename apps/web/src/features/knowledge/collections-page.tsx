"use client";

import type { Collection } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";

import { collectionsQuery } from "@/data/collections/queries";
import { useDenied } from "@/features/identity/session";
import { formatCount, plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { TextInput } from "@/ui/field";
import { LoadMore } from "@/ui/load-more";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { CollectionFormDialog } from "./collection-form-dialog";
import { collectionHref } from "./document-state";

export function CollectionsPage() {
  const router = useRouter();
  const collections = useInfiniteQuery(collectionsQuery);
  const denied = useDenied("collections:write");
  const [creating, setCreating] = useState(false);
  const [filter, setFilter] = useState("");
  const create = (
    <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setCreating(true)}>
      New collection
    </Button>
  );
  return (
    <>
      <PageHeader title="Knowledge" lead="Collections of documents, read, cut into passages and searchable by meaning and by words." actions={create} />
      <QueryView
        query={collections}
        loading={<SkeletonRows tall />}
        isEmpty={(data) => data.length === 0}
        empty={
          <EmptyState title="No collection yet" action={create}>
            Create one, then drop in Markdown, text, HTML, PDF, Word or CSV files. They can be searched as soon as they are read.
          </EmptyState>
        }
      >
        {(data) => (
          <>
            {data.length > 5 && (
              <TextInput
                aria-label="Filter collections by name"
                placeholder="Filter by name"
                data-hotkey-search
                type="search"
                value={filter}
                onChange={(event) => setFilter(event.target.value)}
                className="mb-4 max-w-sm"
              />
            )}
            <CollectionList collections={data.filter((collection) => matches(collection, filter))} />
            <LoadMore query={collections} />
          </>
        )}
      </QueryView>
      <CollectionFormDialog open={creating} onOpenChange={setCreating} collection={null} onSaved={(saved) => router.push(collectionHref(saved.id))} />
    </>
  );
}

function matches(collection: Collection, filter: string): boolean {
  const wanted = filter.trim().toLowerCase();
  return wanted === "" || `${collection.name} ${collection.description}`.toLowerCase().includes(wanted);
}

function CollectionList({ collections }: { collections: Collection[] }) {
  if (collections.length === 0) return <p className="border-t border-rule py-6 text-soft">No collection has a name like that.</p>;
  return (
    <ul className="border-t border-rule-strong">
      {collections.map((collection) => (
        <li key={collection.id} className="group relative grid gap-x-8 gap-y-2 border-b border-rule py-5 sm:grid-cols-[minmax(0,1fr)_auto] sm:items-baseline">
          <div className="min-w-0">
            <h2 className="font-serif text-[1.375rem] leading-snug font-medium tracking-tight">
              <Link href={collectionHref(collection.id)} className="after:absolute after:inset-0 group-hover:text-accent">{collection.name}</Link>
            </h2>
            {collection.description && <p className="mt-0.5 line-clamp-2 max-w-[68ch] text-soft">{collection.description}</p>}
          </div>
          <p className="flex flex-wrap items-baseline gap-x-4 gap-y-1 text-[0.875rem] text-soft tabular-nums sm:justify-end">
            {collection.failed_count > 0 && <Badge tone="bad">{formatCount(collection.failed_count)} failed</Badge>}
            <span>{plural(collection.document_count, "document")}</span>
            <span>{plural(collection.chunk_count, "passage")}</span>
            <span className="text-faint">changed <Time at={collection.updated_at} /></span>
          </p>
        </li>
      ))}
    </ul>
  );
}
