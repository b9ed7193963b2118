import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as react from "@pylonsync/react";
import * as sync from "@pylonsync/sync";
import { codeBlocks } from "./code-blocks.ts";

const root = join(import.meta.dir, "..");
mkdirSync(join(root, "node_modules", ".cache"), { recursive: true });
const dir = mkdtempSync(join(root, "node_modules", ".cache", "client-docs-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const isNamed = (text: string, name: string): boolean => new RegExp(`\\b${name}\\b`).test(text);

test("the page names all exports of the client's packages, of db and the engine", () => {
  const page = readFileSync(join(import.meta.dir, "client.md"), "utf8");
  const engine = Object.getOwnPropertyNames(sync.SyncEngine.prototype).filter(
    (name) => name !== "constructor",
  );
  const names = [...Object.keys(sync), ...Object.keys(react), ...Object.keys(react.db), ...engine];
  expect(names.filter((name) => !isNamed(page, name))).toEqual([]);
});

test("the compiler takes the examples", async () => {
  for (const page of ["client.md", "sync.md", "auth.md", "collaborative-text.md"]) {
    for (const { language, label, code, line } of codeBlocks(join(import.meta.dir, page))) {
      if (language === "tsx" || label === "client")
        writeFileSync(join(dir, `${page}-${line}.${language}`), code);
    }
  }
  writeFileSync(join(dir, "css.d.ts"), 'declare module "*.css";\n');
  writeFileSync(
    join(dir, "tsconfig.json"),
    JSON.stringify({ extends: join(root, "tsconfig.json"), include: ["."], exclude: [] }),
  );
  const child = Bun.spawn(
    [join(root, "node_modules/.bin/tsc"), "--singleThreaded", "--noEmit", "-p", dir],
    { cwd: root, stdout: "pipe", stderr: "inherit" },
  );
  expect(await new Response(child.stdout).text()).toBe("");
  expect(await child.exited).toBe(0);
}, 60_000);
