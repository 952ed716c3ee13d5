import type { PromptShare } from "@plasma/client/types";

export function promptHref(name: string): string {
  return `/models/prompt/?name=${encodeURIComponent(name)}`;
}

/** `version 3`, or `version 3 (90 %), version 4 (10 %)`. */
export function splitText(split: readonly PromptShare[]): string {
  const [only] = split;
  if (split.length === 1 && only) return `version ${only.version}`;
  const sum = split.reduce((total, share) => total + weightOf(share), 0);
  return split.map((share) => `version ${share.version} (${percent(weightOf(share), sum)})`).join(", ");
}

function weightOf(share: PromptShare): number {
  return share.weight ?? 1;
}

function percent(part: number, whole: number): string {
  const value = whole === 0 ? 0 : (part / whole) * 100;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} %`;
}
