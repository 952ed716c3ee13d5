"use client";

import { asProblem } from "@plasma/client/problem";
import type { ContentDocument } from "@plasma/client/types";
import { useEffect, useState } from "react";

import { useSaveContent } from "@/data/content/mutations";
import { useToast } from "@/ui/toast";

import { readUnsaved, writeUnsaved } from "./unsaved-copy";

const KEEP_ASIDE_AFTER_MS = 400;

/**
 * The state of one editor. `base` is the revision that the text on the screen grew from; `latest` is what the server has.
 * A newer `latest` replaces an untouched text by itself and is a conflict with a touched one.
 */
export function useEditor(latest: ContentDocument) {
  const save = useSaveContent(latest.id);
  const notify = useToast();
  const [base, setBase] = useState(latest);
  const [title, setTitle] = useState(latest.title);
  const [body, setBody] = useState(latest.body);
  const [found, setFound] = useState(() => {
    const copy = readUnsaved(latest.id);
    return copy && (copy.title !== latest.title || copy.body !== latest.body) ? copy : null;
  });
  const dirty = title !== base.title || body !== base.body;

  const adopt = (document: ContentDocument) => {
    setBase(document);
    setTitle(document.title);
    setBody(document.body);
    save.reset();
  };

  if (latest.revision > base.revision && !dirty) {
    setBase(latest);
    setTitle(latest.title);
    setBody(latest.body);
  }

  useEffect(() => {
    if (found) return;
    const timer = setTimeout(() => writeUnsaved(latest.id, dirty ? { title, body, revision: base.revision } : null), KEEP_ASIDE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [latest.id, dirty, title, body, base.revision, found]);

  const saveOn = (expectedRevision: number, note?: string) =>
    save.mutate(
      { title: title.trim(), body, expected_revision: expectedRevision, ...(note && { note }) },
      {
        onSuccess: (saved) => {
          // What was typed while the save was under way stays, and counts as a change to the new revision.
          setBase(saved);
          setTitle((current) => (current.trim() === saved.title ? saved.title : current));
          writeUnsaved(latest.id, null);
          notify(`Saved as revision ${saved.revision}`);
        },
      },
    );

  const refused = save.error !== null && asProblem(save.error).status === 409;
  return {
    base,
    title,
    body,
    dirty,
    saving: save.isPending,
    error: refused ? null : save.error,
    /** Somebody saved another revision since this text was begun. */
    conflict: dirty && !save.isPending && (refused || latest.revision > base.revision),
    found,
    setTitle,
    setBody,
    save: (note?: string) => saveOn(base.revision, note),
    keepMine: () => saveOn(latest.revision, `written over revision ${latest.revision}`),
    takeTheirs: () => {
      adopt(latest);
      writeUnsaved(latest.id, null);
    },
    restoreFound: () => {
      if (!found) return;
      setTitle(found.title);
      setBody(found.body);
      setFound(null);
    },
    dropFound: () => {
      writeUnsaved(latest.id, null);
      setFound(null);
    },
  };
}

export type EditorState = ReturnType<typeof useEditor>;
