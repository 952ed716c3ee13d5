import type { ModelPull } from "@plasma/client/types";

import { formatBytes } from "@/lib/format";
import type { Tone } from "@/ui/badge";

export const PULL_STATES: Record<ModelPull["state"], { label: string; tone: Tone }> = {
  queued: { label: "Waiting", tone: "plain" },
  running: { label: "Fetching", tone: "accent" },
  done: { label: "In place", tone: "good" },
  failed: { label: "Failed", tone: "bad" },
  cancelled: { label: "Cancelled", tone: "warn" },
};

/** "120 MB of 491 MB", or without the whole before it is known. */
export function fetchedText(pull: Pick<ModelPull, "done_bytes" | "size_bytes">): string {
  const done = formatBytes(pull.done_bytes);
  return pull.size_bytes === null ? done : `${done} of ${formatBytes(pull.size_bytes)}`;
}

/** One path a line, without empty lines. */
export function pathsOf(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}
