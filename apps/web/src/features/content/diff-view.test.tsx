import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";

import { DiffView } from "./diff-view";

const plain = (markup: string) => markup.replace(/<[^>]+>/g, "");

describe("DiffView", () => {
  it("names what was removed and added, marks the words, and keeps the text exact", () => {
    const markup = renderToStaticMarkup(
      <DiffView
        diff={{
          from: 1, to: 2, added: 1, removed: 1, title: { from: "Plan", to: "Plan 🎉" },
          hunks: [{ from_line: 3, to_line: 3, lines: [
            { kind: "same", text: "Intro <b>" },
            { kind: "removed", text: "We ship in March." },
            { kind: "added", text: "We ship in May." },
          ] }],
        }}
      />,
    );
    expect(markup).toContain("<del");
    expect(markup).toContain("<ins");
    expect(markup).toMatch(/line-through[^>]*>March</);
    expect(markup).toMatch(/underline[^>]*>May</);
    expect(plain(markup)).toContain("1 line added, 1 line removed");
    expect(plain(markup)).toContain("Removed: We ship in March.");
    expect(markup).toContain("Intro &lt;b&gt;");
    expect(plain(markup)).toContain("Added: Plan 🎉");
  });

  it("says when nothing differs", () => {
    const markup = renderToStaticMarkup(<DiffView diff={{ from: 1, to: 3, added: 0, removed: 0, title: { from: "A", to: "A" }, hunks: [] }} />);
    expect(plain(markup)).toBe("Revisions 1 and 3 are the same.");
  });
});
