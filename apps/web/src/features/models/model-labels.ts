import type { CallPurpose, CallStatus, ModelState, ScoreSource } from "@plasma/client/types";

import type { Tone } from "@/ui/badge";

export const MODEL_STATES: Record<ModelState, { label: string; tone: Tone; meaning: string }> = {
  ready: { label: "Ready", tone: "good", meaning: "In memory: answers at once." },
  idle: { label: "Idle", tone: "plain", meaning: "On disk: loads with its first use." },
  missing: { label: "Not installed", tone: "warn", meaning: "Its weights are not on this machine." },
  remote: { label: "Remote", tone: "accent", meaning: "Runs at its provider." },
};

export const CALL_STATUSES: Record<CallStatus, { label: string; tone: Tone }> = {
  succeeded: { label: "Succeeded", tone: "good" },
  failed: { label: "Failed", tone: "bad" },
  cancelled: { label: "Cancelled", tone: "warn" },
};

export const CALL_PURPOSES: Record<CallPurpose, string> = {
  api: "API",
  ask: "Ask",
  draft: "Draft",
  ingest: "Ingestion",
  search: "Search",
  benchmark: "Benchmark",
  batch: "Batch",
  judge: "Judge",
};

export const SCORE_SOURCES: Record<ScoreSource, string> = {
  rules: "Rules",
  judge: "Judge",
  feedback: "People",
};
