import type { NewPromptVersion, PromptMessage, PromptRole, PromptVariable, PromptVersion, VariableType } from "@plasma/client/types";

/** A version as its form holds it: what a person may leave empty is a text. */
export interface PromptDraft {
  messages: PromptMessage[];
  variables: VariableDraft[];
  model: string;
  temperature: string;
  top_p: string;
  max_tokens: string;
  /** One a line. */
  stop: string;
  note: string;
}

export interface VariableDraft {
  name: string;
  type: VariableType;
  required: boolean;
  default: string;
  description: string;
  /** One a line. */
  values: string;
  minimum: string;
  maximum: string;
  max_length: string;
  max_items: string;
}

export const ROLES: Record<PromptRole, string> = { system: "Instructions", user: "Person", assistant: "Model" };

export const TYPES: Record<VariableType, string> = {
  string: "text", integer: "whole number", number: "number", boolean: "yes or no", enum: "one of some texts", list: "list (JSON)", json: "any JSON",
};

export function newVariable(name: string): VariableDraft {
  return { name, type: "string", required: true, default: "", description: "", values: "", minimum: "", maximum: "", max_length: "", max_items: "" };
}

const text = (number: number | null | undefined) => (number === null || number === undefined ? "" : String(number));
const lines = (value: string) => value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
const numberOf = (value: string) => (value.trim() === "" ? null : Number(value));

export function draftOf(version: PromptVersion | null): PromptDraft {
  if (!version) return { messages: [{ role: "system", content: "" }], variables: [], model: "", temperature: "", top_p: "", max_tokens: "", stop: "", note: "" };
  const { messages, variables, model, parameters } = version;
  return {
    messages,
    variables: variables.map(variableDraft),
    model: model ?? "",
    temperature: text(parameters.temperature),
    top_p: text(parameters.top_p),
    max_tokens: text(parameters.max_tokens),
    stop: (parameters.stop ?? []).join("\n"),
    note: "",
  };
}

function variableDraft(variable: PromptVariable): VariableDraft {
  const given = variable.default ?? null;
  return {
    name: variable.name,
    type: variable.type,
    required: variable.required ?? given === null,
    default: given === null ? "" : isText(variable.type) && typeof given === "string" ? given : JSON.stringify(given),
    description: variable.description ?? "",
    values: (variable.values ?? []).join("\n"),
    minimum: text(variable.limits?.minimum),
    maximum: text(variable.limits?.maximum),
    max_length: text(variable.limits?.max_length),
    max_items: text(variable.limits?.max_items),
  };
}

function isText(type: VariableType): boolean {
  return type === "string" || type === "enum";
}

/** What a field for a variable's value says. What is no JSON goes out as a text, and the server says what is wrong with it. */
export function valueOf(type: VariableType, value: string): unknown {
  if (isText(type)) return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

export function versionOf(draft: PromptDraft): NewPromptVersion {
  return {
    messages: draft.messages,
    variables: draft.variables.map((variable) => ({
      name: variable.name.trim(),
      type: variable.type,
      required: variable.required,
      ...(!variable.required && variable.default !== "" && { default: valueOf(variable.type, variable.default) }),
      ...(variable.description.trim() !== "" && { description: variable.description.trim() }),
      ...(variable.type === "enum" && { values: lines(variable.values) }),
      limits: {
        ...((variable.type === "integer" || variable.type === "number") && { minimum: numberOf(variable.minimum), maximum: numberOf(variable.maximum) }),
        ...(variable.type === "string" && { max_length: numberOf(variable.max_length) }),
        ...(variable.type === "list" && { max_items: numberOf(variable.max_items) }),
      },
    })),
    model: draft.model === "" ? null : draft.model,
    parameters: { temperature: numberOf(draft.temperature), top_p: numberOf(draft.top_p), max_tokens: numberOf(draft.max_tokens), stop: lines(draft.stop) },
    note: draft.note.trim(),
  };
}

/** The variables' values by their names; what was left empty is not given. */
export function valuesOf(variables: readonly VariableDraft[], given: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    variables.flatMap((variable) => {
      const value = given[variable.name] ?? "";
      return value === "" ? [] : [[variable.name.trim(), valueOf(variable.type, value)]];
    }),
  );
}

/** Names that the templates insert and nobody has declared, in the order in which they come. A help for writing; the server decides. */
export function undeclared(draft: PromptDraft): string[] {
  const declared = new Set(draft.variables.map((variable) => variable.name.trim()));
  const found = new Set<string>();
  for (const { content } of draft.messages) {
    for (const [, name = ""] of content.matchAll(/\{\{[-+]?\s*([A-Za-z_]\w*)/g)) {
      const bound = new RegExp(`\\{%[-+]?\\s*for\\s[^%]*\\b${name}\\b[^%]*\\sin\\s`).test(content);
      if (!declared.has(name) && !bound && name !== "loop") found.add(name);
    }
  }
  return [...found];
}
