import type { CollectionPlace, CollectionShard } from "@plasma/client/types";

import { formatCount, formatDuration, plural } from "@/lib/format";
import type { Tone } from "@/ui/badge";

const STATES: Record<string, { label: string; tone: Tone }> = {
  ready: { label: "answers", tone: "good" },
  indexing: { label: "builds its index", tone: "warn" },
  copying: { label: "is being copied", tone: "warn" },
  missing: { label: "not made yet", tone: "warn" },
  failed: { label: "failed", tone: "bad" },
  unreachable: { label: "node does not answer", tone: "bad" },
};

/** A part's state in a word; one that this page does not know yet stands for itself. */
export function shardState(shard: CollectionShard): { label: string; tone: Tone } {
  return STATES[shard.state] ?? { label: shard.state, tone: "plain" };
}

/** "in the processes' own indexes", "on a", "in 3 parts on a and b". */
export function placeText(place: Pick<CollectionPlace, "nodes" | "split">): string {
  if (place.nodes.length === 0) return "in the processes' own indexes";
  const last = place.nodes[place.nodes.length - 1] ?? "";
  const nodes = place.nodes.length === 1 ? last : `${place.nodes.slice(0, -1).join(", ")} and ${last}`;
  return place.split === 1 ? `on ${nodes}` : `in ${plural(place.split, "part")} on ${nodes}`;
}

/** How exactly a part is searched. */
export function recallText(shard: CollectionShard): string {
  if (!shard.has_index) return "compared one by one";
  if (shard.recall === null) return "not measured yet";
  const low = shard.recall_low === null ? "" : ` (at least ${percent(shard.recall_low)})`;
  return `finds ${percent(shard.recall)}${low}${shard.ef_search === null ? "" : `, effort ${formatCount(shard.ef_search)}`}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

export function lagText(lagMs: number | null): string {
  if (lagMs === null) return "unknown";
  return lagMs === 0 ? "up to date" : `${formatDuration(lagMs)} behind`;
}

/** Parts that do not answer searches. */
export function silentShards(place: CollectionPlace): CollectionShard[] {
  return place.shards.filter((shard) => shard.state !== "ready" && shard.state !== "indexing");
}
