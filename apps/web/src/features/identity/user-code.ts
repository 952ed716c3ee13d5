/** The letters of the codes that devices show; others cannot be in one. */
const LETTERS = /[^BCDFGHJKMNPQRSTVWXZ]/g;
const LENGTH = 8;

/** What was typed in the form in which devices show codes: `bcdf ghjk` as `BCDF-GHJK`. */
export function userCode(typed: string): string {
  const letters = typed.toUpperCase().replace(LETTERS, "").slice(0, LENGTH);
  return letters.length > LENGTH / 2 ? `${letters.slice(0, LENGTH / 2)}-${letters.slice(LENGTH / 2)}` : letters;
}

export function isWhole(code: string): boolean {
  return code.length === LENGTH + 1;
}
