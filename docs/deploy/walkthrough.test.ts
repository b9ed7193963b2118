import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TempFolder } from "../../packages/cli/src/testing/pylon-process.ts";
import { codeBlocks } from "../code-blocks.ts";
import { Terminal } from "../terminal.ts";

const CLONE = join(import.meta.dir, "..", "..");
/**
 * What stays open, and what needs an account of AWS: packages/cli tests these against the real SST.
 */
const LEFT_OUT = /^(npx pylon dev$|npx sst |.*--stage|.*--url|curl|export)/;

test("the walkthrough leads from nothing to an app that is ready to be deployed", async () => {
  using folder = new TempFolder();
  const home = process.env["HOME"] ?? "";
  const terminal = new Terminal(folder.path, {
    PATH: `${join(CLONE, "node_modules", ".bin")}:${process.env["PATH"] ?? ""}`,
    HOME: home,
    CLONE,
    ...Object.fromEntries(
      Object.entries(process.env).filter((entry): entry is [string, string] =>
        entry[0].startsWith("npm_config_"),
      ),
    ),
  });
  const dir = join(folder.path, "shop");
  const done: string[] = [];
  try {
    for (const { language, label, code, line } of codeBlocks(join(import.meta.dir, "README.md"))) {
      if (label === "pylon.stages.ts") writeFileSync(join(dir, label), code);
      if (language !== "sh") continue;
      const lines = code
        .trimEnd()
        .split("\n")
        .filter((text) => !LEFT_OUT.test(text));
      await terminal.run(lines.join("\n"), `README.md:${line}`);
      done.push(...lines.map((text) => text.split(" ").slice(0, 3).join(" ")));
    }
  } finally {
    await terminal.close();
  }
  expect(done).toEqual([
    "pylon init shop",
    "cd shop",
    "npm run --prefix",
    "npm install ./vendor/*.tgz",
    "npx pylon deploy",
    "npm install",
    "npx pylon doctor",
    "npx pylon cost",
  ]);
  expect(readFileSync(join(dir, "sst.config.ts"), "utf8")).toContain('name: "shop"');
  expect(existsSync(join(dir, "node_modules", "sst", "package.json"))).toBe(true);
}, 600_000);
