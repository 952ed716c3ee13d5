/** Where a sign-in at an identity provider begins. */
export function connectionHref(id: string, next: string): string {
  return `/api/v1/auth/connections/${encodeURIComponent(id)}/start?next=${encodeURIComponent(next)}`;
}
