/** One entry a line: without space around it, empty lines left out, each once. */
export function textLines(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return [...new Set(lines)];
}

/** The problem of a list's entry, `redirect_uris[2]`, belongs to the list. */
export function belongsTo(field: string | null | undefined, list: string): boolean {
  return field === list || Boolean(field?.startsWith(`${list}[`));
}
