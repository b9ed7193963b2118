import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { codeBlocks } from "./code-blocks.ts";

const example = join(import.meta.dir, "..", "examples", "chat");

test("what chat.md shows of the example is its code", () => {
  const shown = codeBlocks(join(import.meta.dir, "chat.md")).filter(({ label }) => label !== "");
  expect(shown.length).toBeGreaterThan(5);
  for (const { label, code } of shown)
    expect({ label, code }).toEqual({ label, code: readFileSync(join(example, label), "utf8") });
});
