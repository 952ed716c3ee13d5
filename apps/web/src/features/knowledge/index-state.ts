import type { CollectionIndexState, IndexRecall } from "@plasma/client/types";

import type { Tone } from "@/ui/badge";

export const INDEX_STATES: Record<CollectionIndexState, { label: string; tone: Tone; says: string }> = {
  on_nodes: { label: "on search nodes", tone: "good", says: "Search nodes have the vectors: the tab Placement says how they are." },
  empty: { label: "empty", tone: "plain", says: "There are no passages yet." },
  exact: { label: "exact", tone: "good", says: "The collection is small: a search compares every passage, so nothing is missed." },
  ready: { label: "ready", tone: "good", says: "A search scans short codes of the passages and compares the best candidates exactly." },
  building: { label: "being built", tone: "accent", says: "The index is being built from the database. Until it is complete some passages are not found by their meaning." },
  unavailable: { label: "not available", tone: "bad", says: "Searches go by words only." },
};

/** What a person can choose; any number between 0.8 and 0.999 can be set through the API. */
export const RECALL_TARGETS = [0.9, 0.95, 0.99, 0.995, 0.999];

/** A share of one as a percentage with as many digits as tell it from 100%. */
export function formatShare(share: number): string {
  const percent = share * 100;
  const digits = share > 0.9 || share < 0.01 ? 2 : 1;
  return `${Number(percent.toFixed(digits))}%`;
}

/** The measured recall in a sentence. */
export function recallSentence(recall: IndexRecall): string {
  const source = recall.measured_with === "queries" ? "recent searches" : recall.measured_with === "passages" ? "passages used as queries" : "queries";
  return `between ${formatShare(recall.low)} and ${formatShare(recall.high)} with 95% confidence, by ${recall.queries} ${source}`;
}
