"use client";

import type { ContentDocument } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";

import { contentQuery } from "@/data/content/queries";
import { useDenied } from "@/features/identity/session";
import { useParam, useSetParams } from "@/lib/use-param";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { MissingId } from "@/ui/missing-id";
import { Bone, QueryView, SkeletonRows } from "@/ui/query-view";
import { Tabs } from "@/ui/tabs";

import { CitationList } from "./citation-list";
import { EditorNotices } from "./editor-notices";
import { EditorPanes } from "./editor-panes";
import { EditorToolbar } from "./editor-toolbar";
import { RevisionsPanel } from "./revisions-panel";
import { useEditor } from "./use-editor";
import { useUnsavedGuard } from "./use-unsaved-guard";

export function EditorPage() {
  const id = useParam("id");
  if (!id) return <MissingId what="content document" href="/content/" back="All content" />;
  return <LoadedEditor key={id} id={id} />;
}

function LoadedEditor({ id }: { id: string }) {
  const document = useQuery(contentQuery(id));
  return (
    <QueryView query={document} loading={<div><Bone className="mb-10 h-10 w-1/2" /><SkeletonRows rows={6} /></div>}>
      {(data) => <Editor latest={data} />}
    </QueryView>
  );
}

function Editor({ latest }: { latest: ContentDocument }) {
  const editor = useEditor(latest);
  const guard = useUnsavedGuard(editor.dirty);
  const denied = useDenied("content:write");
  const setParams = useSetParams();
  const wanted = useParam("tab");
  const tab = wanted === "citations" || wanted === "revisions" ? wanted : "write";

  return (
    <>
      <Link href="/content/" className="mb-3 inline-flex min-h-8 items-center gap-1.5 text-[0.875rem] text-soft hover:text-ink">
        <span aria-hidden>←</span> Content
      </Link>
      <h1 className="sr-only">{editor.title || "Untitled"}</h1>
      <textarea
        aria-label="Title"
        rows={1}
        value={editor.title}
        readOnly={denied !== null}
        maxLength={300}
        placeholder="Title"
        onChange={(event) => editor.setTitle(event.target.value.replace(/\s*\n\s*/g, " "))}
        className="field-sizing-content w-full resize-none bg-transparent font-serif text-[2rem] leading-tight font-[440] tracking-[-0.018em] outline-offset-4 placeholder:text-faint sm:text-[2.5rem]"
      />
      <EditorToolbar editor={editor} denied={denied} />
      <EditorNotices editor={editor} latest={latest} />
      <Tabs
        label="Document"
        value={tab}
        onChange={(next) => setParams({ tab: next === "write" ? null : next })}
        items={[
          { value: "write", label: "Write", content: <EditorPanes editor={editor} document={latest} denied={denied} /> },
          {
            value: "citations",
            label: <>Citations <span className="figure text-[0.8125rem] text-faint">{latest.citations.length}</span></>,
            content: <CitationList document={latest} />,
          },
          {
            value: "revisions",
            label: <>Revisions <span className="figure text-[0.8125rem] text-faint">{latest.revision}</span></>,
            content: <RevisionsPanel document={latest} dirty={editor.dirty} denied={denied} />,
          },
        ]}
      />
      <ConfirmDialog open={guard.asking} onOpenChange={(open) => !open && guard.stay()} title="Leave without saving?" action="Leave" onConfirm={guard.leave}>
        Your changes are not saved. They stay in this browser tab for now: when you come back to this document, you can take them up again.
      </ConfirmDialog>
    </>
  );
}
