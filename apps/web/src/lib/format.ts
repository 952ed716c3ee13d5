import type { Micros, Money } from "@plasma/client/types";

/** The language of the interface; numbers and dates follow it, not the browser's. */
const LOCALE = "en-US";

const integer = new Intl.NumberFormat(LOCALE);
const compact = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });

export function formatCount(value: number): string {
  return integer.format(value);
}

/** 12,345 as 12.3K; small numbers in full. */
export function formatCompact(value: number): string {
  return Math.abs(value) < 10_000 ? integer.format(value) : compact.format(value);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** 1st, 2nd, 3rd, 4th … 11th … */
export function ordinal(value: number): string {
  const suffix = { one: "st", two: "nd", few: "rd" }[new Intl.PluralRules("en", { type: "ordinal" }).select(value) as "one" | "two" | "few"];
  return `${formatCount(value)}${suffix ?? "th"}`;
}

/**
 * Money of millionths, exactly: integer arithmetic, at least two decimals, up to six when the amount needs them.
 * `$0.000042`, `-$1.50`, `€12,345.00`.
 */
export function formatMoney(money: Money): string {
  const negative = money.amount_micros < 0;
  const micros = BigInt(Math.trunc(Math.abs(money.amount_micros)));
  const whole = new Intl.NumberFormat(LOCALE).format(micros / 1_000_000n);
  const fraction = (micros % 1_000_000n).toString().padStart(6, "0").replace(/0{1,4}$/, "");
  return `${negative ? "-" : ""}${currencySymbol(money.currency)}${whole}.${fraction}`;
}

/** Several currencies cannot be added up: each stands for itself. */
export function formatMoneyList(list: readonly Money[]): string {
  return list.length === 0 ? "—" : list.map(formatMoney).join(" + ");
}

function currencySymbol(currency: string): string {
  try {
    const parts = new Intl.NumberFormat(LOCALE, { style: "currency", currency }).formatToParts(0);
    const symbol = parts.find((part) => part.type === "currency")?.value ?? currency;
    return /[A-Za-z]$/.test(symbol) ? `${symbol} ` : symbol;
  } catch {
    return `${currency} `;
  }
}

/** "12.5" or "12,50" as millionths; null when it is not an amount, is negative, or has more than six decimals. */
export function parseMoneyMicros(text: string): number | null {
  const match = /^\s*(\d{1,9})(?:[.,](\d{1,6}))?\s*$/.exec(text);
  if (!match) return null;
  return Number(match[1]) * 1_000_000 + Number((match[2] ?? "").padEnd(6, "0"));
}

/** 850 ms, 4.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1) return milliseconds <= 0 ? "0 ms" : `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 9_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${Math.floor(hours / 24)} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** "about 40 s left"; an estimate is never shown more exactly than it is. */
export function formatSecondsLeft(seconds: number): string {
  if (seconds < 2) return "almost done";
  if (seconds < 10) return "a few seconds left";
  if (seconds < 55) return `about ${Math.round(seconds / 5) * 5} s left`;
  if (seconds < 3300) return `about ${Math.max(1, Math.round(seconds / 60))} min left`;
  return `about ${Math.max(1, Math.round(seconds / 3600))} h left`;
}

/** Decimal units, as file managers show them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const dateTime = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });
const dateOnly = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium" });
const clock = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export function toDate(at: Micros): Date {
  return new Date(at / 1000);
}

export function formatDateTime(at: Micros): string {
  return dateTime.format(toDate(at));
}

export function formatDate(at: Micros): string {
  return dateOnly.format(toDate(at));
}

export function formatClock(at: Micros): string {
  return clock.format(toDate(at));
}

/** "just now", "5 min ago", "yesterday"-free and short; a date once it is older than a week. */
export function formatRelative(at: Micros, nowMs: number): string {
  const seconds = Math.round((nowMs - at / 1000) / 1000);
  const future = seconds < -5;
  const distance = Math.abs(seconds);
  const phrase = (count: number, unit: string) => (future ? `in ${count} ${unit}` : `${count} ${unit} ago`);
  if (distance < 10) return "just now";
  if (distance < 60) return phrase(distance, "s");
  if (distance < 3600) return phrase(Math.floor(distance / 60), "min");
  if (distance < 86_400) return phrase(Math.floor(distance / 3600), "h");
  if (distance < 7 * 86_400) return phrase(Math.floor(distance / 86_400), "d");
  return formatDate(at);
}
