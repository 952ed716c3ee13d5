export function contentHref(id: string): string {
  return `/content/document/?id=${encodeURIComponent(id)}`;
}
