import type { PendingLogin } from "@plasma/client/types";

/** Where the page that asks for another workspace leaves what the sign-in page goes on with. Gone when the tab is closed. */
const STORAGE_KEY = "plasma-pending-login";

export function isPending(answer: object): answer is PendingLogin {
  return "pending_token" in answer;
}

/** Leaves a login that needs another proof to the sign-in page. */
export function leavePendingLogin(pending: PendingLogin): void {
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify(pending));
}

/** Takes what another page has left; once. */
export function takePendingLogin(): PendingLogin | null {
  const text = sessionStorage.getItem(STORAGE_KEY);
  sessionStorage.removeItem(STORAGE_KEY);
  if (text === null) return null;
  try {
    const left: unknown = JSON.parse(text);
    return typeof left === "object" && left !== null && isPending(left) ? left : null;
  } catch {
    return null;
  }
}
