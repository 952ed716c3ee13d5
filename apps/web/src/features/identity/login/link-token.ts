/** The token behind `#token=` of a mailed link; null when there is none. */
export function linkToken(hash: string): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, "")).get("token");
  return token && /^pll_[a-z0-9]+$/.test(token) ? token : null;
}
