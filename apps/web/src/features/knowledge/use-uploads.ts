"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";

import { collectionKeys } from "@/data/collections/keys";
import { documentKeys } from "@/data/documents/keys";
import { uploadFile } from "@/data/documents/upload";

export interface Upload {
  id: number;
  file: File;
  state: "waiting" | "sending" | "received" | "failed";
  sent: number;
  total: number;
  documentId: string | null;
  error: unknown;
}

/** Files sent at the same time; the rest wait. */
const PARALLEL_MAX = 2;

/**
 * Sends files one after the other and shows each one's progress. A file leaves the list by itself once the server has
 * received it: from then on its document is in the list below.
 */
export function useUploads(collection: string) {
  const queryClient = useQueryClient();
  const [uploads, setUploads] = useState<Upload[]>([]);
  const nextId = useRef(0);
  const queue = useRef<Upload[]>([]);
  const sending = useRef(0);
  const abort = useRef(new AbortController());

  useEffect(() => {
    const controller = new AbortController();
    abort.current = controller;
    return () => controller.abort();
  }, [collection]);

  const change = useCallback((id: number, part: Partial<Upload>) => {
    setUploads((current) => current.map((upload) => (upload.id === id ? { ...upload, ...part } : upload)));
  }, []);

  const send = useCallback(
    async (upload: Upload) => {
      change(upload.id, { state: "sending" });
      try {
        const document = await uploadFile(collection, upload.file, {
          signal: abort.current.signal,
          onProgress: (sent, total) => change(upload.id, { sent, total }),
        });
        change(upload.id, { state: "received", documentId: document.id });
        await queryClient.invalidateQueries({ queryKey: documentKeys.lists(collection) });
        await queryClient.invalidateQueries({ queryKey: collectionKeys.detail(collection) });
        setUploads((current) => current.filter((other) => other.id !== upload.id));
      } catch (error) {
        change(upload.id, { state: "failed", error });
      }
    },
    [change, collection, queryClient],
  );

  const pump = useCallback(() => {
    const startNext = () => {
      while (sending.current < PARALLEL_MAX) {
        const next = queue.current.shift();
        if (!next) return;
        sending.current += 1;
        void send(next).finally(() => {
          sending.current -= 1;
          startNext();
        });
      }
    };
    startNext();
  }, [send]);

  const add = useCallback(
    (files: Iterable<File>) => {
      const added = Array.from(files, (file): Upload => {
        nextId.current += 1;
        return { id: nextId.current, file, state: "waiting", sent: 0, total: file.size, documentId: null, error: null };
      });
      setUploads((current) => [...current, ...added]);
      queue.current.push(...added);
      pump();
    },
    [pump],
  );

  const retry = useCallback(
    (upload: Upload) => {
      change(upload.id, { state: "waiting", sent: 0, error: null });
      queue.current.push(upload);
      pump();
    },
    [change, pump],
  );

  const dismiss = useCallback((id: number) => setUploads((current) => current.filter((upload) => upload.id !== id)), []);

  return { uploads, add, retry, dismiss };
}
