import type { Field } from "../model.ts";

/** What a person has entered for a field: the value for the server, or why it can not be read. */
export type Entered =
  | { readonly value: unknown }
  /** A sentence for the person. */
  | { readonly problem: string };

/** Returns the text with which a field's editor starts. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
}

/** Returns the text of a value in a table's cell: one line, at most 120 characters. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const line = text.slice(0, 200).replaceAll(/\s+/g, " ");
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

/** Reads what was entered for a field. An empty text is null, or an empty text if it may be one. */
export function parseEntered(text: string, field: Pick<Field, "type" | "optional">): Entered {
  const { type, optional } = field;
  const isText = type === "string" || type === "richtext";
  if (text === "" && (optional || !isText)) return { value: null };
  switch (type) {
    case "int":
    case "float": {
      const value = Number(text);
      return Number.isFinite(value) && text.trim() !== ""
        ? { value }
        : { problem: "Enter a number, such as 12." };
    }
    case "bool":
      return text === "true" || text === "false"
        ? { value: text === "true" }
        : { problem: "Enter true or false." };
    case "json":
    case "array":
      return parseJson(text);
    default:
      return { value: text };
  }
}

/** Reads JSON that was entered. */
export function parseJson(text: string): Entered {
  try {
    const value: unknown = JSON.parse(text);
    return { value };
  } catch (error) {
    return { problem: `This is not JSON: ${error instanceof Error ? error.message : ""}` };
  }
}
