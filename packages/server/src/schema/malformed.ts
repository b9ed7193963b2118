import type { BaseIssue } from "valibot";

const KINDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  Object: "an object",
  Array: "a list",
};
/** The rest of a longer value gives no further information. */
const MAX_SHOWN = 60;

/**
 * Describes what is wrong with a value, in words for the sender.
 *
 * @returns `field` is empty for the value as a whole
 */
export function malformed(issue: BaseIssue<unknown>): {
  readonly field: string;
  readonly message: string;
} {
  const field = (issue.path ?? []).reduce(
    (path, { key }) =>
      typeof key === "number"
        ? `${path}[${key}]`
        : `${path}${path === "" ? "" : "."}${String(key)}`,
    "",
  );
  const what = field === "" ? "It" : `"${field}"`;
  if (field !== "" && issue.received === "undefined")
    return { field, message: `${what} is missing` };
  if (issue.type === "max_length") {
    const units = Array.isArray(issue.input) ? "entries" : "characters";
    return { field, message: `${what} has more than ${String(issue.requirement)} ${units}` };
  }
  if (issue.kind === "schema" && issue.expected !== null)
    return {
      field,
      message: `${what} must be ${wanted(issue.expected)}, but is ${shown(issue.received)}`,
    };
  return { field, message: `${what} can't be ${shown(issue.received)}` };
}

/** Converts names such as `Object` or `("insert" | "update")`. */
function wanted(expected: string): string {
  return KINDS[expected] ?? expected.replace(/^\(|\)$/g, "").replaceAll(" | ", " or ");
}

function shown(received: string): string {
  const text = KINDS[received] ?? received;
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}
