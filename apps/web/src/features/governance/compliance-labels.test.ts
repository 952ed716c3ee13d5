import type { ComplianceCatalogue, ComplianceControl, ComplianceCounts, ComplianceOutcome } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { chaptersWith, chosenCatalogue, documentText, notShownText, OUTCOMES, outcomeOf, readOutcome, testResult, totalOf, withCount } from "./compliance-labels";

const counts = (met: number): ComplianceCounts => ({ met, partly: 1, not_met: 0, not_applicable: 0, not_shown: 1 });
const control = (id: string, outcome: ComplianceOutcome): ComplianceControl => ({ id, level: 1, text: "Doors are locked.", status: "met", outcome, reason: null, tests: [], documents: [] });
const catalogue = (name: string, met: number): ComplianceCatalogue => ({
  name, title: name, source: "https://rules.example", note: "", counts: counts(met),
  chapters: [
    { id: "R1", title: "Doors", counts: counts(1), controls: [control("R1.1", "met"), control("R1.2", "partly")] },
    { id: "R2", title: "Dogs", counts: counts(0), controls: [control("R2.1", "not_shown")] },
  ],
});

describe("outcomes", () => {
  it("have a word and are read from the address", () => {
    expect(OUTCOMES.map(({ value }) => readOutcome(value))).toEqual(["met", "partly", "not_met", "not_applicable", "not_shown"]);
    expect([readOutcome("maybe"), readOutcome(null)]).toEqual([null, null]);
    expect(outcomeOf("not_shown")).toMatchObject({ label: "Not shown", tone: "bad" });
    expect(totalOf(counts(5))).toBe(7);
    expect(withCount("Not met", 1200)).toBe("Not met (1,200)");
  });

  it("filter controls, and chapters without any are left out", () => {
    const ids = (chapter: string | null, outcome: ComplianceOutcome | null) => chaptersWith(catalogue("rules", 1), chapter, outcome).flatMap((one) => one.controls.map(({ id }) => id));
    expect(ids(null, null)).toEqual(["R1.1", "R1.2", "R2.1"]);
    expect(ids("R1", null)).toEqual(["R1.1", "R1.2"]);
    expect(ids(null, "not_shown")).toEqual(["R2.1"]);
    expect(ids("R1", "not_shown")).toEqual([]);
  });
});

describe("catalogues", () => {
  it("are chosen by name, and the largest without one", () => {
    const both = [catalogue("small", 1), catalogue("large", 9)];
    expect(chosenCatalogue(both, "small")?.name).toBe("small");
    expect([chosenCatalogue(both, null)?.name, chosenCatalogue(both, "gone")?.name]).toEqual(["large", "large"]);
    expect(both.map(({ name }) => name)).toEqual(["small", "large"]);
    expect(chosenCatalogue([], null)).toBeUndefined();
  });
});

describe("evidence", () => {
  it("is told in words", () => {
    expect(documentText({ path: "docs/security.md", heading: "Pages" })).toBe("docs/security.md, Pages");
    expect(documentText({ path: "deny.toml", heading: null })).toBe("deny.toml");
    expect(testResult("missing").label).toBe("not run");
    expect(notShownText(control("R1.1", "met"))).toBeNull();
    expect(notShownText({ ...control("R1.1", "not_shown"), status: "partly" })).toContain("partly met");
  });
});
