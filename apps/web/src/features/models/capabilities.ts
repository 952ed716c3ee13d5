import type { Capability } from "@plasma/client/types";

/** What chat models can do beyond answering text with text, in the order in which it is shown. */
export const CAPABILITIES: Record<Capability, string> = {
  tools: "Tools",
  vision: "Images",
  documents: "Documents",
  audio: "Recordings",
  json_schema: "JSON schema",
  thinking: "Thinking",
};

export const ALL_CAPABILITIES = Object.keys(CAPABILITIES) as Capability[];

export function capabilitiesText(capabilities: readonly Capability[]): string {
  return capabilities.length === 0 ? "Text only" : capabilities.map((capability) => CAPABILITIES[capability]).join(", ");
}

/** The list with the capability in it or not, always in the order in which all are shown. */
export function withCapability(capabilities: readonly Capability[], capability: Capability, has: boolean): Capability[] {
  return ALL_CAPABILITIES.filter((candidate) => (candidate === capability ? has : capabilities.includes(candidate)));
}
