"use client";

import type { ContentDocument } from "@plasma/client/types";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { contentKeys } from "@/data/content/keys";
import { diffQuery } from "@/data/content/queries";
import { Button } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { DiffView } from "./diff-view";
import type { EditorState } from "./use-editor";

/** Everything that stands between the person and a quiet save. */
export function EditorNotices({ editor, latest }: { editor: EditorState; latest: ContentDocument }) {
  return (
    <>
      {editor.found && (
        <div role="status" className="mb-5 flex flex-wrap items-center justify-between gap-3 rounded-[5px] bg-accent-soft px-4 py-3">
          <p>You left changes to revision {editor.found.revision} unsaved.</p>
          <div className="flex gap-2">
            <Button small variant="primary" onClick={editor.restoreFound}>Take them up</Button>
            <Button small variant="quiet" onClick={editor.dropFound}>Discard</Button>
          </div>
        </div>
      )}
      {editor.conflict && <Conflict editor={editor} latest={latest} />}
      {editor.error ? <ProblemNote error={editor.error} className="mb-5" action={<Button small onClick={() => editor.save()}>Save again</Button>} /> : null}
    </>
  );
}

function Conflict({ editor, latest }: { editor: EditorState; latest: ContentDocument }) {
  const queryClient = useQueryClient();
  const [showing, setShowing] = useState(false);
  const known = latest.revision > editor.base.revision;

  // The refusal says only that there is a newer revision; what it is has to be asked for.
  useEffect(() => {
    if (!known) void queryClient.invalidateQueries({ queryKey: contentKeys.detail(latest.id) });
  }, [known, latest.id, queryClient]);

  return (
    <div role="alert" data-conflict className="mb-5 rounded-[5px] border-l-3 border-warn bg-warn-soft px-4 py-3.5">
      <p className="font-medium">Somebody else saved {known ? `revision ${latest.revision}` : "a newer revision"} while you were editing revision {editor.base.revision}</p>
      <p className="mt-1 text-soft">
        Nothing is lost: both texts are still there.{known && <> Theirs is from <Time at={latest.updated_at} />.</>}
      </p>
      <div className="mt-3 flex flex-wrap gap-2.5">
        <Button small disabled={!known} aria-expanded={showing} onClick={() => setShowing(!showing)}>{showing ? "Hide their changes" : "See their changes"}</Button>
        <Button small disabled={!known} onClick={editor.keepMine}>Save mine over theirs</Button>
        <Button small variant="danger" disabled={!known} onClick={editor.takeTheirs}>Drop mine, take theirs</Button>
      </div>
      {showing && known && <TheirChanges id={latest.id} from={editor.base.revision} to={latest.revision} />}
    </div>
  );
}

function TheirChanges({ id, from, to }: { id: string; from: number; to: number }) {
  const diff = useQuery(diffQuery(id, from, to));
  return (
    <div className="mt-4 bg-paper p-4">
      <QueryView query={diff}>{(data) => <DiffView diff={data} />}</QueryView>
    </div>
  );
}
