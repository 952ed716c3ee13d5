/** Addresses and networks as they are typed: one a line, or with commas and spaces between. */
export function addressesOf(text: string): string[] {
  return text.split(/[\s,;]+/).filter((address) => address !== "");
}

/** The place of a problem's field such as `addresses[2]` in what was typed; null for other fields. */
export function addressAt(field: string | undefined, addresses: readonly string[]): string | null {
  const index = /^addresses\[(\d+)\]$/.exec(field ?? "")?.[1];
  return index === undefined ? null : (addresses[Number(index)] ?? null);
}

/** Seconds that an old key works beside its successor, as choices. */
export const OVERLAPS: { seconds: number; label: string }[] = [
  { seconds: 0, label: "Not at all: it is refused at once" },
  { seconds: 3_600, label: "For an hour" },
  { seconds: 86_400, label: "For a day" },
  { seconds: 604_800, label: "For a week" },
  { seconds: 2_592_000, label: "For 30 days" },
];
