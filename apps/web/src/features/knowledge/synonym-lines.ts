import type { CollectionSynonyms } from "@plasma/client/types";

export interface ParsedSynonyms {
  sets: string[][];
  one_way: { from: string; to: string[] }[];
  /** What is wrong with the first line that cannot be read. */
  error: string | null;
}

const terms = (text: string) => text.split(",").map((term) => term.trim()).filter(Boolean);

/** Lines of `tv, television` for words that mean the same, and of `car => vehicle, lorry` for one way. */
export function parseSynonyms(text: string): ParsedSynonyms {
  const parsed: ParsedSynonyms = { sets: [], one_way: [], error: null };
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const [from = "", to, ...rest] = line.split("=>");
    if (to === undefined) {
      const set = terms(line);
      if (set.length < 2) return { ...parsed, error: `Line ${index + 1} needs two words or phrases, with a comma between them.` };
      parsed.sets.push(set);
      continue;
    }
    const found = terms(to);
    if (from.trim() === "" || from.includes(",") || found.length === 0 || rest.length > 0) {
      return { ...parsed, error: `Line ${index + 1} is not of the form word => other, another.` };
    }
    parsed.one_way.push({ from: from.trim(), to: found });
  }
  return parsed;
}

/** The lines that say the same. */
export function synonymLines({ sets, one_way }: Pick<CollectionSynonyms, "sets" | "one_way">): string {
  return [...sets.map((set) => set.join(", ")), ...one_way.map((rule) => `${rule.from} => ${rule.to.join(", ")}`)].join("\n");
}
