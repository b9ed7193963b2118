import type { Field } from "../model.ts";

/** What a person has entered for a field: the value for the server, or why it can not be read. */
export type Entered =
  | { readonly value: unknown }
  /** A sentence for the person. */
  | { readonly problem: string };

/** Returns the text with which a field's editor starts; null for null. */
export function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
}

/** Returns the text of a value in a table's cell: one line, at most 120 characters. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const line = text.slice(0, 200).replaceAll(/\s+/g, " ");
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

/** Whether the field may contain an empty text, which is not null. */
export function isText({ type }: Pick<Field, "type">): boolean {
  return type === "string" || type === "richtext" || type === "encrypted";
}

/** Reads what was entered for a field. An empty text is null, unless the field may contain it. */
export function parseEntered(text: string, field: Pick<Field, "type">): Entered {
  const { type } = field;
  if (text === "" && !isText(field)) return { value: null };
  switch (type) {
    case "int":
    case "float": {
      const value = Number(text);
      if (!Number.isFinite(value) || text.trim() === "")
        return { problem: "Enter a number, such as 12." };
      if (type === "int" && Math.abs(value) > Number.MAX_SAFE_INTEGER)
        return { problem: `Enter a number of at most ${Number.MAX_SAFE_INTEGER}.` };
      return { value };
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
    return { problem: `This is not JSON: ${error instanceof Error ? error.message : ""}.` };
  }
}
