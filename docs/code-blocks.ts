import { readFileSync } from "node:fs";

/** A fenced block of a page. */
export interface CodeBlock {
  /** `ts`, `tsx`, `sh`, `json`. */
  readonly language: string;
  /** What stands behind the language: a file's name, or `client`. */
  readonly label: string;
  readonly code: string;
  /** Of its first line. */
  readonly line: number;
}

const FENCE = /^```(\w+)(?: +(.+?))? *\n([\s\S]*?)^```$/gm;

/** The code blocks of a Markdown file, in order. */
export function codeBlocks(file: string): CodeBlock[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(FENCE)].map(
    ({ 1: language = "", 2: label = "", 3: code = "", index }) => ({
      language,
      label,
      code,
      line: text.slice(0, index).split("\n").length + 1,
    }),
  );
}

/** Whether `actual` has all that `expected` shows; `"..."` stands for any text. */
export function matches(expected: unknown, actual: unknown): boolean {
  if (expected === "...") return typeof actual === "string";
  if (Array.isArray(expected)) {
    return (
      Array.isArray(actual) &&
      actual.length === expected.length &&
      expected.every((item, index) => matches(item, actual[index]))
    );
  }
  if (typeof expected === "object" && expected !== null) {
    if (typeof actual !== "object" || actual === null) return false;
    return Object.entries(expected).every(([name, value]) =>
      matches(value, (actual as Record<string, unknown>)[name]),
    );
  }
  return Object.is(expected, actual);
}
