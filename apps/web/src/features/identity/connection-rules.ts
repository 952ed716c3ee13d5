import type { MappingRule, Role } from "@plasma/client/types";

/** A rule while it is written. */
export interface RuleDraft {
  /** Tells rows apart while they move. */
  key: number;
  claim: string;
  value: string;
  role: Role | "";
  /** A role of the workspace's own, which is kept until another role is chosen. */
  customRole: string | null;
  team: string;
}

export function draftsOf(rules: MappingRule[]): RuleDraft[] {
  return rules.map((rule, index) => ({
    key: index,
    claim: rule.claim,
    value: rule.value,
    role: rule.role ?? "",
    customRole: rule.custom_role ?? null,
    team: rule.team ?? "",
  }));
}

export function newDraft(others: RuleDraft[]): RuleDraft {
  const key = Math.max(-1, ...others.map((draft) => draft.key)) + 1;
  // Most rules look at the same claim.
  return { key, claim: others.at(-1)?.claim ?? "groups", value: "", role: "editor", customRole: null, team: "" };
}

/** The list with the row at `index` moved by one. */
export function moved(drafts: RuleDraft[], index: number, by: -1 | 1): RuleDraft[] {
  const all = [...drafts];
  const [draft] = all.splice(index, 1);
  if (draft) all.splice(index + by, 0, draft);
  return all;
}

export function bodyOfRules(drafts: RuleDraft[]): MappingRule[] {
  return drafts.map(({ claim, value, role, customRole, team }) => ({
    claim: claim.trim(),
    value: value.trim(),
    ...(role !== "" && { role }),
    ...(role === "" && customRole !== null && { custom_role: customRole }),
    ...(team !== "" && { team }),
  }));
}
