"use client";

import { useQuery } from "@tanstack/react-query";
import { Ellipsis } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";

import { collectionQuery } from "@/data/collections/queries";
import { useCan, useDenied } from "@/features/identity/session";
import { formatCount, plural } from "@/lib/format";
import { useParam, useSetParams } from "@/lib/use-param";
import { Button, ButtonLink, IconButton } from "@/ui/button";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { MissingId } from "@/ui/missing-id";
import { PageHeader } from "@/ui/page-header";
import { Bone, QueryView, SkeletonRows } from "@/ui/query-view";
import { Tabs } from "@/ui/tabs";

import { AddTextDialog } from "./add-text-dialog";
import { CollectionFormDialog } from "./collection-form-dialog";
import { DeleteCollectionDialog } from "./delete-collection-dialog";
import { DocumentList } from "./document-list";
import { IndexPanel } from "./index-panel";
import { PlacementTab } from "./placement-tab";
import { ReembedDialog } from "./reembed-dialog";
import { ReembeddingProgress } from "./reembedding-progress";
import { SearchPanel } from "./search-panel";
import { SynonymsEditor } from "./synonyms-editor";
import { UploadZone } from "./upload-zone";

const TABS = ["documents", "search", "synonyms", "index", "placement"];

type OpenDialog = "text" | "edit" | "model" | "delete" | null;

export function CollectionPage() {
  const id = useParam("id");
  if (!id) return <MissingId what="collection" href="/knowledge/" back="All collections" />;
  return <Collection key={id} id={id} />;
}

function Collection({ id }: { id: string }) {
  const router = useRouter();
  const collection = useQuery(collectionQuery(id));
  const denied = useDenied("collections:write");
  const canAsk = useCan("models:invoke");
  const asked = useParam("tab") ?? "";
  const tab = TABS.includes(asked) ? asked : "documents";
  const setParams = useSetParams();
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const onOpenChange = (open: boolean) => !open && setDialog(null);

  return (
    <QueryView query={collection} loading={<div><Bone className="mb-10 h-10 w-1/2" /><SkeletonRows /></div>}>
      {(data) => (
        <>
          <PageHeader
            back={{ href: "/knowledge/", label: "Knowledge" }}
            title={data.name}
            lead={
              <>
                {data.description && <p>{data.description}</p>}
                <p className="mt-1 text-[0.875rem] text-faint">
                  {plural(data.document_count, "document")}, {plural(data.chunk_count, "passage")}, embedded with{" "}
                  <span className="figure text-[0.8125rem]">{data.embedding_model}</span>
                </p>
              </>
            }
            actions={
              <>
                <Button reason={denied} onClick={() => setDialog("text")}>Add text</Button>
                {canAsk && <ButtonLink variant="primary" href={`/ask/?collection=${encodeURIComponent(data.id)}`}>Ask it</ButtonLink>}
                <Menu trigger={<IconButton label="More actions"><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
                  <MenuItem disabled={denied !== null} onSelect={() => setDialog("edit")}>Edit name, description, language and fields</MenuItem>
                  <MenuItem disabled={denied !== null} onSelect={() => setDialog("model")}>Change embedding model</MenuItem>
                  <MenuSeparator />
                  <MenuItem danger disabled={denied !== null} onSelect={() => setDialog("delete")}>Delete collection</MenuItem>
                </Menu>
              </>
            }
          />
          <ReembeddingProgress collection={data.id} denied={denied} />
          <Tabs
            label="Collection"
            value={tab}
            onChange={(next) => setParams({ tab: next === "documents" ? null : next })}
            items={[
              {
                value: "documents",
                label: <>Documents <span className="figure text-[0.8125rem] text-faint">{formatCount(data.document_count)}</span></>,
                content: (
                  <>
                    <UploadZone collection={data.id} denied={denied} />
                    <DocumentList collection={data.id} denied={denied} />
                  </>
                ),
              },
              { value: "search", label: "Search", content: <SearchPanel collection={data.id} ranking={data.ranking} /> },
              { value: "synonyms", label: "Synonyms", content: <SynonymsEditor collection={data.id} denied={denied} /> },
              { value: "index", label: "Index", content: <IndexPanel collection={data} denied={denied} /> },
              { value: "placement", label: "Placement", content: <PlacementTab collection={data.id} denied={denied} /> },
            ]}
          />
          <AddTextDialog collection={data.id} open={dialog === "text"} onOpenChange={onOpenChange} />
          <CollectionFormDialog collection={data} open={dialog === "edit"} onOpenChange={onOpenChange} />
          <ReembedDialog collection={data} open={dialog === "model"} onOpenChange={onOpenChange} />
          <DeleteCollectionDialog collection={data} open={dialog === "delete"} onOpenChange={onOpenChange} onDeleted={() => router.replace("/knowledge/")} />
        </>
      )}
    </QueryView>
  );
}
