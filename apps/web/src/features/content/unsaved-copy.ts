/** Text that was typed but not saved, kept in this browser tab so that a slip of the hand does not lose it. */
export interface UnsavedCopy {
  title: string;
  body: string;
  /** The revision that it was typed on. */
  revision: number;
}

const key = (id: string) => `plasma-unsaved-${id}`;

export function readUnsaved(id: string): UnsavedCopy | null {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(key(id)) ?? "null");
    return isCopy(stored) ? stored : null;
  } catch {
    return null;
  }
}

export function writeUnsaved(id: string, copy: UnsavedCopy | null): void {
  try {
    if (copy) sessionStorage.setItem(key(id), JSON.stringify(copy));
    else sessionStorage.removeItem(key(id));
  } catch {
    // Storage is full or blocked: the guard on leaving the page remains.
  }
}

function isCopy(value: unknown): value is UnsavedCopy {
  if (typeof value !== "object" || value === null) return false;
  const copy = value as Record<string, unknown>;
  return typeof copy["title"] === "string" && typeof copy["body"] === "string" && typeof copy["revision"] === "number";
}
