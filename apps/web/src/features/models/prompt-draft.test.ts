import type { PromptVersion } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { draftOf, newVariable, undeclared, valuesOf, versionOf } from "./prompt-draft";
import { splitText } from "./prompt-text";

const version: PromptVersion = {
  version: 2,
  messages: [{ role: "system", content: "In {{ language }}." }],
  variables: [
    { name: "language", type: "enum", required: null, default: "English", description: null, values: ["English", "French"], limits: {} },
    { name: "count", type: "integer", required: true, default: null, description: "how many", values: [], limits: { minimum: 1, maximum: null } },
    { name: "flags", type: "json", required: false, default: { a: [1] }, description: null, values: [], limits: {} },
  ],
  model: null,
  parameters: { temperature: 0.5, top_p: null, max_tokens: null, stop: ["END"] },
  note: "n",
  actor: { kind: "system", reason: "test" },
  created_at: 0,
};

describe("a prompt's draft", () => {
  it("says the same as the version that it came from", () => {
    const again = versionOf(draftOf(version));
    expect(again.messages).toEqual(version.messages);
    expect(again.variables?.[0]).toMatchObject({ name: "language", required: false, default: "English", values: ["English", "French"] });
    expect(again.variables?.[1]).toMatchObject({ required: true, description: "how many", limits: { minimum: 1, maximum: null } });
    expect(again.variables?.[1]).not.toHaveProperty("default");
    expect(again.variables?.[2]).toMatchObject({ required: false, default: { a: [1] } });
    expect(again.parameters).toEqual({ temperature: 0.5, top_p: null, max_tokens: null, stop: ["END"] });
    expect(again.model).toBeNull();
  });

  it("gives values by their types and leaves out what is empty", () => {
    const variables = draftOf(version).variables;
    expect(valuesOf(variables, { language: "7", count: "7", flags: "no json" })).toEqual({ language: "7", count: 7, flags: "no json" });
    expect(valuesOf(variables, { language: "", count: "" })).toEqual({});
  });

  it("finds what is inserted without being declared", () => {
    const draft = { ...draftOf(null), messages: [{ role: "user" as const, content: "{{ a }} {{- b|trim }} {% for c in a %}{{ c }}{{ loop.index }}{% endfor %}" }] };
    expect(undeclared(draft)).toEqual(["a", "b"]);
    expect(undeclared({ ...draft, variables: [newVariable("a")] })).toEqual(["b"]);
  });
});

describe("splitText", () => {
  it("shows shares in percent", () => {
    expect(splitText([{ version: 3, weight: 5 }])).toBe("version 3");
    expect(splitText([{ version: 3, weight: 2 }, { version: 4, weight: 1 }])).toBe("version 3 (66.7 %), version 4 (33.3 %)");
    expect(splitText([{ version: 1, weight: 90 }, { version: 2, weight: 10 }])).toBe("version 1 (90 %), version 2 (10 %)");
  });
});
