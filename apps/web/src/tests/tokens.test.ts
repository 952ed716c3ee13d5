import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

/** The contrast that tokens.css promises, measured on the file itself (WCAG 2.2, relative luminance). */
const css = readFileSync(path.resolve(import.meta.dirname, "../../../../packages/tokens/src/tokens.css"), "utf8");
const pairs = new Map([...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map((match) => [match[1], [match[2], match[3]] as const]));

function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((index) => {
    const value = Number.parseInt(hex.slice(index, index + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(first: string, second: string, theme: 0 | 1): number {
  const color = (name: string) => {
    const value = pairs.get(name)?.[theme];
    if (!value) throw new Error(`tokens.css has no colour ${name}`);
    return luminance(value);
  };
  const [lighter = 0, darker = 0] = [color(first), color(second)].sort((a, b) => b - a);
  return (lighter + 0.05) / (darker + 0.05);
}

const SURFACES = ["paper", "raised", "sunken"];
const TEXT_ON_SURFACES = ["ink", "ink-soft", "ink-faint", "accent", "good", "warn", "bad"];
const TEXT_ON_OWN: [string, string][] = [
  ["on-accent", "accent"], ["on-accent", "accent-strong"], ["on-marker", "marker"], ["accent", "accent-soft"], ["good", "good-soft"], ["warn", "warn-soft"],
  ["bad", "bad-soft"], ["ink", "accent-soft"], ["ink", "good-soft"], ["ink", "warn-soft"], ["ink", "bad-soft"], ["ink-soft", "warn-soft"], ["ink-soft", "bad-soft"],
  ["paper", "ink"],
];

describe.each([["light", 0], ["dark", 1]] as const)("%s theme", (_, theme) => {
  it.each(TEXT_ON_SURFACES.flatMap((text) => SURFACES.map((surface) => [text, surface] as const)).concat(TEXT_ON_OWN))("%s on %s is at least 4.5:1", (text, surface) => {
    expect(contrast(text, surface, theme)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(SURFACES)("control borders on %s are at least 3:1", (surface) => {
    expect(contrast("rule-strong", surface, theme)).toBeGreaterThanOrEqual(3);
  });
});
