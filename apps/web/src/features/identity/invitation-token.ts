/** Where an invitation's token waits while its person signs in. Gone when the tab is closed. */
const STORAGE_KEY = "plasma-invitation";

/** The token of the address, or what was kept of an earlier one in this tab. */
export function invitationToken(fromAddress: string | null): string | null {
  if (fromAddress) return fromAddress;
  return typeof sessionStorage === "undefined" ? null : sessionStorage.getItem(STORAGE_KEY);
}

/** Keeps the token out of the address, and with it out of the browser's history and of what is shared by its line. */
export function keepInvitationToken(token: string): void {
  sessionStorage.setItem(STORAGE_KEY, token);
}

export function forgetInvitationToken(): void {
  sessionStorage.removeItem(STORAGE_KEY);
}
