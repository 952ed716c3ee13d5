import type { AccessQuestion, Permission } from "@plasma/client/types";

/** What the form of "may X do Y?" holds: texts as they were typed. */
export interface QuestionDraft {
  principal: string;
  action: Permission;
  resource: string;
  within: string;
  path: string;
  address: string;
  /** As a `datetime-local` field gives it, in the reader's own time; empty means now. */
  at: string;
  method: string;
  multiFactor: "" | "yes" | "no";
}

export function emptyQuestion(principal: string, action: Permission): QuestionDraft {
  return { principal, action, resource: "", within: "", path: "", address: "", at: "", method: "", multiFactor: "" };
}

/** The question as the server takes it: what was left empty is left out. */
export function questionOf(draft: QuestionDraft): AccessQuestion {
  const given = (text: string) => (text.trim() === "" ? undefined : text.trim());
  const within = draft.within.split(/[\s,]+/).filter((id) => id !== "");
  const at = draft.at === "" ? Number.NaN : new Date(draft.at).getTime();
  const resource = withoutEmpty({ id: given(draft.resource), path: given(draft.path), within: within.length > 0 ? within : undefined });
  const context = withoutEmpty({
    address: given(draft.address),
    at: Number.isNaN(at) ? undefined : at * 1000,
    method: given(draft.method),
    multi_factor: draft.multiFactor === "" ? undefined : draft.multiFactor === "yes",
  });
  const principal = given(draft.principal);
  return {
    action: draft.action,
    ...(principal !== undefined && { principal }),
    ...(Object.keys(resource).length > 0 && { resource }),
    ...(Object.keys(context).length > 0 && { context }),
  };
}

function withoutEmpty<T extends Record<string, unknown>>(fields: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [Name in keyof T]?: Exclude<T[Name], undefined> };
}
