import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../tests/support/run.ts";

interface Row {
  readonly name: string;
  readonly value: number;
  readonly of?: number;
  readonly max?: number;
  readonly min?: number;
}

const SCRIPT = join(import.meta.dir, "house.mjs");
const dir = mkdtempSync(join(tmpdir(), "pylon-house-test-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function measure(...args: string[]): Promise<readonly Row[]> {
  return JSON.parse(await run(["node", SCRIPT, "--json", ...args])) as Row[];
}

// If this fails, fix the code. If a number improved, move its limit in house.mjs.
test("no measure of the code base exceeds its limit", async () => {
  const rows = await measure();
  expect(rows.filter(({ max, min }) => max === undefined && min === undefined)).toEqual([]);
  const worse = rows.filter(
    ({ value, max = Infinity, min = -Infinity }) => value > max || value < min,
  );
  expect(worse).toEqual([]);
}, 60_000);

const SOURCE = `// A comment with "as any" and x!.
/** Documented. */
export function long(value: unknown): string {
${"  // Filler.\n".repeat(60)}
  return (value as unknown as { readonly text: string }).text;
}
export const bare = "x as unknown as any; // no comment";
export const constant = ["a"] as const;
export const late = { at: Date.now(), made: new Date(), given: new Date(0) };
function over(a: string): void;
function over(a: any): void {
  const text: string = a!;
  setTimeout(() => text, 1);
}
void over;
`;

const FILLER = "    void 0;\n".repeat(61);
/** A list of tests is not a function, and a long test in it is one. */
const LIST = `describe.each([1])("a", () => {
  test("b", () => {
${FILLER}  });
});
function suite(): void {
  describe("c", () => {
${FILLER}  });
}
`;

test("the parser counts code, and not the contents of strings and comments", async () => {
  const files = {
    "packages/server/src/a.ts": SOURCE,
    "packages/server/src/platform.ts": "/** The clock. */\nexport const now = () => Date.now();\n",
    "packages/server/src/a.test.ts": `// ${"x".repeat(120)}\n${LIST}`,
    "packages/server/README.md": "# It\n",
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  const rows = await measure("--root", dir);
  const of = (start: string): number[] =>
    rows
      .filter(({ name }) => name.startsWith(start))
      .flatMap(({ value, of: all }) => (all === undefined ? [value] : [value, all]));
  expect(of("lines over 120 columns")).toEqual([1, 0]);
  expect(of("functions over 60 lines")).toEqual([1, 1]);
  expect(of("`as unknown as`")).toEqual([1]);
  expect(of("`as` per 1,000")).toEqual([Math.round((100 * 2000) / 77) / 100]);
  expect(of("`any`")).toEqual([1]);
  expect(of("`!`")).toEqual([1]);
  expect(of("exports without a doc comment, server")).toEqual([3, 5]);
  expect(of("comment lines in percent")).toEqual([Math.round((10_000 * 63) / 76) / 100]);
  expect(of("packages with a README")).toEqual([1, 1]);
  expect(of("packages with a LICENSE")).toEqual([0, 1]);
  expect(of("direct uses")).toEqual([3]);
}, 60_000);
