"use client";

import Link from "next/link";
import { useEffect, useState } from "react";

import { Button } from "@/ui/button";
import { TextInput } from "@/ui/field";
import { Time } from "@/ui/time";

import type { EditorState } from "./use-editor";

export function EditorToolbar({ editor, denied }: { editor: EditorState; denied: string | null }) {
  const [note, setNote] = useState("");
  const { base, dirty, saving, conflict, title, save } = editor;
  const reason = denied ?? (title.trim() === "" ? "A document needs a title." : conflict ? "Settle the conflict first." : null);
  const canSave = dirty && !saving && reason === null;

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      if (canSave) save(note.trim() || undefined);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [canSave, save, note]);

  return (
    <div className="sticky top-0 z-20 -mx-4 mt-3 mb-2 flex flex-wrap items-center justify-between gap-x-5 gap-y-2.5 bg-paper px-4 py-2.5 sm:-mx-2 sm:px-2">
      <p role="status" className="min-w-0 flex-1 basis-44 text-[0.875rem] text-soft">
        {dirty ? <span className="font-medium text-warn">Unsaved changes</span> : <>Revision {base.revision}, saved <Time at={base.updated_at} /></>}
        {base.call_id && (
          <span className="text-faint"> · <Link href={`/models/call/?id=${encodeURIComponent(base.call_id)}`} className="link">the call that drafted it</Link></span>
        )}
      </p>
      <div className="flex min-w-0 justify-end gap-2.5">
        {dirty && <TextInput aria-label="Note for this revision" placeholder="Note (optional)" maxLength={500} value={note} onChange={(event) => setNote(event.target.value)} className="w-56 min-w-0 shrink" />}
        <Button
          variant="primary"
          busy={saving}
          disabled={!dirty}
          reason={reason}
          title="Ctrl+S"
          onClick={() => {
            save(note.trim() || undefined);
            setNote("");
          }}
        >
          Save
        </Button>
      </div>
    </div>
  );
}
