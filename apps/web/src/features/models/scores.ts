import type { Tone } from "@/ui/badge";

/** A score from 0 to 1 with two decimals. */
export function formatScore(score: number): string {
  return score.toFixed(2);
}

export function scoreTone(score: number): Tone {
  if (score >= 0.75) return "good";
  return score >= 0.4 ? "warn" : "bad";
}
