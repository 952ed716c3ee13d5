/** The token behind `#token=` of a mailed link; null when there is none. */
export function linkToken(hash: string, prefix: "pll_" | "pli_" = "pll_"): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, "")).get("token");
  return token?.startsWith(prefix) && /^[a-z0-9_]+$/.test(token) ? token : null;
}
