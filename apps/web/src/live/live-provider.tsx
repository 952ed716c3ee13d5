"use client";

import type { PlasmaEvent } from "@plasma/client/types";
import { useQueryClient, type QueryClient, type QueryKey } from "@tanstack/react-query";
import { createContext, use, useEffect, useState, useSyncExternalStore, type ReactNode } from "react";

import { sessionKeys } from "@/data/session/keys";

import { LiveConnection, type LiveProgress, type LiveSnapshot } from "./live-connection";
import { staleKeys } from "./stale-keys";

/** A bulk ingestion sends hundreds of events; lists are asked for again at most this often. */
const REFRESH_EVERY_MS = 1200;

const LiveContext = createContext<LiveConnection | null>(null);

export function LiveProvider({ enabled, children }: { enabled: boolean; children: ReactNode }) {
  const queryClient = useQueryClient();
  const [connection] = useState(() => createConnection(queryClient));

  useEffect(() => {
    if (!enabled) return;
    connection.start();
    const retry = () => connection.retryNow();
    window.addEventListener("online", retry);
    return () => {
      window.removeEventListener("online", retry);
      connection.stop();
    };
  }, [connection, enabled]);

  return <LiveContext value={connection}>{children}</LiveContext>;
}

function createConnection(queryClient: QueryClient): LiveConnection {
  const refresh = throttledRefresh(queryClient);
  return new LiveConnection({
    url: () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live`,
    onEvent: (event: PlasmaEvent) => refresh(staleKeys(event)),
    onGap: () => void queryClient.invalidateQueries(),
    onRefused: () => void queryClient.invalidateQueries({ queryKey: sessionKeys.me }),
  });
}

function throttledRefresh(queryClient: QueryClient): (keys: QueryKey[]) => void {
  const waiting = new Map<string, QueryKey>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastMs = 0;
  const flush = () => {
    timer = undefined;
    lastMs = Date.now();
    for (const queryKey of waiting.values()) void queryClient.invalidateQueries({ queryKey });
    waiting.clear();
  };
  return (keys) => {
    for (const key of keys) waiting.set(JSON.stringify(key), key);
    timer ??= setTimeout(flush, Math.max(50, lastMs + REFRESH_EVERY_MS - Date.now()));
  };
}

const OFF: LiveSnapshot = { phase: "off", retryAtMs: null, events: [], progress: new Map() };
const noSubscription = () => () => undefined;

export function useLive(): LiveSnapshot {
  const connection = use(LiveContext);
  return useSyncExternalStore(
    connection?.subscribe ?? noSubscription,
    connection?.getSnapshot ?? (() => OFF),
    () => OFF,
  );
}

export function useLiveProgress(documentId: string): LiveProgress | undefined {
  return useLive().progress.get(documentId);
}

/** How often to ask for something that the live connection would tell of: seldom while it is open, often while it is not. */
export function usePollingMs(): number {
  return useLive().phase === "open" ? 6000 : 1500;
}
