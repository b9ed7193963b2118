import { expect, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pylon, TempFolder } from "../../packages/cli/src/testing/pylon-process.ts";
import { codeBlocks } from "../code-blocks.ts";

const PAGE = join(import.meta.dir, "README.md");
/** What stays open, and what needs an account of AWS: packages/cli tests these against the real SST. */
const LEFT_OUT = /^(npx pylon dev|.*--stage|.*--url|curl|export)/;

test("the walkthrough leads from nothing to an app that is ready to be deployed", async () => {
  using folder = new TempFolder();
  let dir = folder.path;
  const done: string[] = [];
  for (const { language, label, code } of codeBlocks(PAGE)) {
    if (language === "dotenv") writeFileSync(join(dir, label), code);
    for (const line of language === "sh" ? code.trimEnd().split("\n") : []) {
      if (LEFT_OUT.test(line)) continue;
      done.push(line);
      if (line.startsWith("cd ")) dir = join(dir, line.slice(3));
      else if (line === "npm install") install(dir);
      else {
        const { exitCode, stdout, stderr } = await pylon(line.replace("npx pylon ", "").split(" "), dir);
        expect({ line, exitCode, said: exitCode === 0 ? "" : stdout + stderr }).toEqual({ line, exitCode: 0, said: "" });
      }
    }
  }
  expect(done).toEqual(["npx pylon init shop --template todo", "cd shop", "npm install", "npx pylon deploy --target sst", "npm install", "npx pylon doctor --production", "npx pylon cost"]);
  expect(readFileSync(join(dir, "sst.config.ts"), "utf8")).toContain('name: "shop"');
});

/** This repository's packages in the place of what npm would bring, and the lock file that it would leave. */
function install(dir: string): void {
  if (!existsSync(join(dir, "node_modules"))) symlinkSync(join(import.meta.dir, "..", "..", "node_modules"), join(dir, "node_modules"));
  writeFileSync(join(dir, "package-lock.json"), JSON.stringify({ lockfileVersion: 3, packages: {} }));
}
