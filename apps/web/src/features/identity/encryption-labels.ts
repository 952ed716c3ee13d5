import type { KeyRotation, MasterKey, MasterKeyPlace } from "@plasma/client/types";

import { formatCount, plural } from "@/lib/format";
import type { Tone } from "@/ui/badge";

/** Where a master key is, in the middle of a sentence. */
export function placeLabel(place: MasterKeyPlace): string {
  return place === "vault" ? "in Vault" : "in the server's key file";
}

const STATES: Record<KeyRotation["state"], { label: string; tone: Tone }> = {
  resealing: { label: "sealing again", tone: "accent" },
  destroying: { label: "about to destroy the old key", tone: "accent" },
  done: { label: "done", tone: "good" },
  stuck: { label: "stuck", tone: "bad" },
};

export function rotationState(rotation: KeyRotation): { label: string; tone: Tone } {
  return STATES[rotation.state];
}

/** A rotation that goes on by itself. */
export function isRunning(rotation: KeyRotation | undefined): boolean {
  return rotation?.state === "resealing" || rotation?.state === "destroying";
}

export function rotationText(rotation: KeyRotation): string {
  switch (rotation.state) {
    case "resealing":
      return `${formatCount(rotation.done)} of ${plural(rotation.total, "value")} sealed with key ${rotation.version}`;
    case "destroying":
      return `All ${plural(rotation.total, "value")} are sealed with key ${rotation.version}; the old key is destroyed in a moment`;
    case "done":
      return `${plural(rotation.total, "value")} sealed with key ${rotation.version}; the old key is destroyed`;
    case "stuck":
      return `Key ${rotation.version} seals new values, but the old key is still needed`;
  }
}

/** Data keys that are not under the current master key. */
export function keysToRewrap(keys: readonly MasterKey[]): number {
  return keys.filter((key) => !key.current).reduce((sum, key) => sum + key.data_keys, 0);
}

/** Why the button does nothing now, or null. */
export function rotateReason(rotation: KeyRotation | undefined): string | null {
  return isRunning(rotation) ? "A rotation is under way." : null;
}
