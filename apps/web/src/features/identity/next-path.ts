/** Where to go after signing in: only a path of this very site, or home. */
export function safeNextPath(next: string | null): string {
  if (!next || !next.startsWith("/") || next.startsWith("//") || /[\\\p{Cc}]/u.test(next)) return "/";
  const path = new URL(next, "http://same.invalid");
  // What `..` leaves of a path may begin with `//`, which a browser takes for a host.
  if (path.host !== "same.invalid" || path.pathname.startsWith("//") || path.pathname.startsWith("/login")) return "/";
  return path.pathname + path.search + path.hash;
}

export function loginPath(): string {
  const here = location.pathname + location.search;
  return here === "/" ? "/login/" : `/login/?next=${encodeURIComponent(here)}`;
}
