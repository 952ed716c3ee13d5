import type { ComplianceCatalogue, ComplianceChapter, ComplianceControl, ComplianceCounts, ComplianceDocument, ComplianceOutcome, ComplianceTestResult } from "@plasma/client/types";

import { formatCount } from "@/lib/format";
import type { Tone } from "@/ui/badge";

/** Every outcome, in the order in which counts are read. */
export const OUTCOMES: { value: ComplianceOutcome; label: string; tone: Tone }[] = [
  { value: "met", label: "Met", tone: "good" },
  { value: "partly", label: "Partly", tone: "warn" },
  { value: "not_met", label: "Not met", tone: "bad" },
  { value: "not_applicable", label: "Not applicable", tone: "plain" },
  { value: "not_shown", label: "Not shown", tone: "bad" },
];

export function outcomeOf(outcome: ComplianceOutcome): { label: string; tone: Tone } {
  return OUTCOMES.find((known) => known.value === outcome) ?? { label: outcome, tone: "plain" };
}

/** What stands in the address as an outcome, if it is one. */
export function readOutcome(text: string | null): ComplianceOutcome | null {
  return OUTCOMES.find((known) => known.value === text)?.value ?? null;
}

export function totalOf(counts: ComplianceCounts): number {
  return OUTCOMES.reduce((sum, { value }) => sum + counts[value], 0);
}

/** "Not met (12)" for the filter. */
export function withCount(label: string, count: number): string {
  return `${label} (${formatCount(count)})`;
}

/** The chapters with the controls that have this outcome; chapters that have none are left out. */
export function chaptersWith(catalogue: ComplianceCatalogue, chapter: string | null, outcome: ComplianceOutcome | null): ComplianceChapter[] {
  return catalogue.chapters
    .filter((one) => chapter === null || one.id === chapter)
    .map((one) => ({ ...one, controls: one.controls.filter((control) => outcome === null || control.outcome === outcome) }))
    .filter((one) => one.controls.length > 0);
}

/** The catalogue that the address names; the largest when it names none that there is. */
export function chosenCatalogue(catalogues: readonly ComplianceCatalogue[], name: string | null): ComplianceCatalogue | undefined {
  const bySize = [...catalogues].sort((one, other) => totalOf(other.counts) - totalOf(one.counts));
  return catalogues.find((catalogue) => catalogue.name === name) ?? bySize[0];
}

const RESULTS: Record<ComplianceTestResult, { label: string; tone: Tone }> = {
  passed: { label: "passed", tone: "good" },
  failed: { label: "failed", tone: "bad" },
  missing: { label: "not run", tone: "bad" },
  unknown: { label: "not known", tone: "plain" },
};

export function testResult(result: ComplianceTestResult): { label: string; tone: Tone } {
  return RESULTS[result];
}

export function documentText(document: ComplianceDocument): string {
  return document.heading === null ? document.path : `${document.path}, ${document.heading}`;
}

/** Why a control is not shown, though its catalogue says that it is met; null for all others. */
export function notShownText(control: ComplianceControl): string | null {
  if (control.outcome !== "not_shown") return null;
  const claim = control.status === "met" ? "met" : "partly met";
  return `The catalogue says that this is ${claim}, but a test that should show it failed or was not run.`;
}
