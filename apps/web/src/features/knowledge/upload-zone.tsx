"use client";

import { FileUp, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { formatBytes } from "@/lib/format";
import { Button, IconButton } from "@/ui/button";
import { cx } from "@/ui/cx";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";

import { ACCEPTED_FILES } from "./document-state";
import { useUploads, type Upload } from "./use-uploads";

/** Where files are dropped or picked. The whole window accepts a drop while this is on the page. */
export function UploadZone({ collection, denied }: { collection: string; denied: string | null }) {
  const input = useRef<HTMLInputElement>(null);
  const { uploads, add, retry, dismiss } = useUploads(collection);
  const dragging = useWindowDrop(denied === null ? add : null);
  return (
    <div className="mb-6">
      <div className={cx("rounded-[6px] border border-dashed px-5 py-5 transition-colors", dragging ? "border-accent bg-accent-soft" : "border-rule-strong")}>
        <div className="flex flex-wrap items-center gap-x-5 gap-y-3">
          <FileUp aria-hidden strokeWidth={1.5} className={cx("size-7", dragging ? "text-accent" : "text-faint")} />
          <div className="min-w-0 flex-1 basis-60">
            <p className="font-medium">{dragging ? "Let go to add them" : "Drop files here"}</p>
            <p className="text-[0.875rem] text-soft">Markdown, text, HTML, PDF, Word (.docx) or CSV, up to 25 MiB each</p>
          </div>
          <Button reason={denied} onClick={() => input.current?.click()}>Choose files</Button>
        </div>
        <input
          ref={input}
          type="file"
          multiple
          accept={ACCEPTED_FILES}
          aria-label="Files to add"
          className="sr-only"
          tabIndex={-1}
          onChange={(event) => {
            add(Array.from(event.target.files ?? []));
            event.target.value = "";
          }}
        />
      </div>
      {uploads.length > 0 && (
        <ul aria-label="Uploads" className="mt-3">
          {uploads.map((upload) => (
            <UploadRow key={upload.id} upload={upload} onRetry={() => retry(upload)} onDismiss={() => dismiss(upload.id)} />
          ))}
        </ul>
      )}
    </div>
  );
}

function UploadRow({ upload, onRetry, onDismiss }: { upload: Upload; onRetry: () => void; onDismiss: () => void }) {
  const text = { waiting: "waiting", sending: `${formatBytes(upload.sent)} of ${formatBytes(upload.total)}`, received: "received", failed: "not sent" }[upload.state];
  return (
    <li className="border-b border-rule py-3">
      <div className="flex items-center justify-between gap-3">
        <span className="min-w-0 truncate font-medium">{upload.file.name}</span>
        <span className="flex shrink-0 items-center gap-1 text-[0.8125rem] text-soft tabular-nums">
          {text}
          {upload.state === "failed" && <IconButton label={`Dismiss ${upload.file.name}`} onClick={onDismiss}><X aria-hidden className="size-4" /></IconButton>}
        </span>
      </div>
      {upload.state === "failed" ? (
        <ProblemNote error={upload.error} className="mt-2" action={<Button small onClick={onRetry}>Send again</Button>} />
      ) : (
        <ProgressBar label={`Sending ${upload.file.name}`} done={upload.sent} total={upload.total || null} className="mt-2" />
      )}
    </li>
  );
}

/** Takes files dropped anywhere on the window; without a taker the browser must not open them in place of the page. */
function useWindowDrop(onFiles: ((files: File[]) => void) | null): boolean {
  const [dragging, setDragging] = useState(false);
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth += 1;
      setDragging(onFiles !== null);
    };
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setDragging(false);
    };
    const over = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setDragging(false);
      onFiles?.(Array.from(event.dataTransfer?.files ?? []));
    };
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", over);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", over);
      window.removeEventListener("drop", drop);
    };
  }, [onFiles]);
  return dragging;
}
