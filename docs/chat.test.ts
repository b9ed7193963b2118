import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../tests/support/run.ts";
import { codeBlocks } from "./code-blocks.ts";

const root = join(import.meta.dir, "..");
const example = join(root, "examples", "chat");
const blocks = codeBlocks(join(import.meta.dir, "chat.md"));
const work = mkdtempSync(join(tmpdir(), "pylon-chat-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

test("what chat.md shows of the example is its code", () => {
  const shown = blocks.filter(({ label }) => label !== "");
  expect(shown.length).toBeGreaterThan(5);
  for (const { label, code } of shown)
    expect({ label, code }).toEqual({ label, code: readFileSync(join(example, label), "utf8") });
});

test("who follows chat.md from nothing has the example in the end", async () => {
  const env = { CLONE: root, PATH: `${root}/node_modules/.bin:${process.env["PATH"] ?? ""}` };
  const app = join(work, "chat");
  for (const { language, label, code } of blocks)
    if (label !== "") {
      mkdirSync(dirname(join(app, label)), { recursive: true });
      writeFileSync(join(app, label), code);
    } else if (language === "sh" && /^(pylon init|cp) /.test(code))
      await run(["bash", "-euc", code], { cwd: code.startsWith("cp") ? app : work, env });
  for (const folder of [".", "functions", "web"]) {
    expect(filesOf(join(app, folder))).toMatchObject(filesOf(join(example, folder)));
    if (folder !== ".") expect(filesOf(join(app, folder))).toEqual(filesOf(join(example, folder)));
  }
}, 60_000);

/** The sources in a folder by name; what each app has of its own is left out. */
function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter(
    (name) => /\.(tsx?|css|html)$/.test(name) && name !== "pylon.client.ts",
  );
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}
