"use client";

import type { AskCitation, AskDone, AskPassage, AskProgress, ContentDocument } from "@plasma/client/types";
import { useCallback, useEffect, useReducer, useRef } from "react";

import type { AnswerEvent } from "@/data/answers/stream";

export interface AnswerState {
  phase: "idle" | "running" | "done" | "stopped" | "failed";
  passages: AskPassage[];
  progress: AskProgress | null;
  text: string;
  citations: AskCitation[];
  document: ContentDocument | null;
  done: AskDone | null;
  error: unknown;
  startedAtMs: number;
}

type Action = { type: "start"; atMs: number } | { type: "event"; event: AnswerEvent } | { type: "stop" } | { type: "fail"; error: unknown } | { type: "reset" };

export const IDLE: AnswerState = {
  phase: "idle", passages: [], progress: null, text: "", citations: [], document: null, done: null, error: null, startedAtMs: 0,
};

export function answerReducer(state: AnswerState, action: Action): AnswerState {
  if (action.type === "start") return { ...IDLE, phase: "running", startedAtMs: action.atMs };
  if (action.type === "reset") return IDLE;
  if (action.type === "stop") return state.phase === "running" ? { ...state, phase: "stopped" } : state;
  if (action.type === "fail") return state.phase === "running" ? { ...state, phase: "failed", error: action.error } : state;
  const { event } = action;
  switch (event.type) {
    case "passage":
      return { ...state, passages: [...state.passages, event.data] };
    case "progress":
      return { ...state, progress: event.data };
    case "token":
      return { ...state, text: state.text + event.data.text };
    case "citation":
      return { ...state, citations: [...state.citations, event.data] };
    case "document":
      return { ...state, document: event.data };
    case "done":
      return { ...state, phase: "done", done: event.data, text: event.data.answer || state.text, citations: event.data.citations };
  }
}

/** Runs one streamed answer at a time; leaving the page or `stop` ends the request, and with it the model's work. */
export function useAnswerStream() {
  const [state, dispatch] = useReducer(answerReducer, IDLE);
  const running = useRef<AbortController | null>(null);

  useEffect(() => () => running.current?.abort(), []);

  const start = useCallback(async (open: (signal: AbortSignal) => AsyncGenerator<AnswerEvent>) => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    dispatch({ type: "start", atMs: Date.now() });
    try {
      for await (const event of open(controller.signal)) {
        if (controller.signal.aborted) return;
        dispatch({ type: "event", event });
      }
    } catch (error) {
      // A request that was ended on purpose is no failure, and a newer one owns the state by now.
      if (!controller.signal.aborted) dispatch({ type: "fail", error });
    }
  }, []);

  const stop = useCallback(() => {
    running.current?.abort();
    dispatch({ type: "stop" });
  }, []);

  return { state, start, stop };
}
