/**
 * Server messages start in lower case and without a full stop; on the screen they are sentences. A first word that is a name
 * (`tool.exe`, `max_tokens`, code in backticks) keeps its letters.
 */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  const [first = ""] = trimmed.split(/\s/, 1);
  const isName = /[._/:\d`]/.test(first.replace(/[.,:;]$/, ""));
  const capital = isName ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…:]$/.test(capital) ? capital : `${capital}.`;
}
