import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { noteApp, pylon, TempFolder } from "./testing/pylon-process.ts";

test("compile makes the same bytes from any folder, and leaves nothing else behind", async () => {
  using folder = new TempFolder();
  mkdirSync(join(folder.path, "deep/er"), { recursive: true });
  const made = await pylon(["compile", "--json"], folder.path);
  expect(JSON.parse(made.stdout)).toMatchObject({
    code: "COMPILE_OK",
    file: join(folder.path, "pylon"),
    platform: `${process.platform}-${process.arch}`,
  });
  expect(
    (await pylon(["compile", "--out", "../new/other"], join(folder.path, "deep/er"))).exitCode,
  ).toBe(0);
  expect(readdirSync(folder.path).toSorted()).toEqual(["deep", "pylon"]);
  expect(
    readdirSync(join(folder.path, "deep"), { recursive: true }).map(String).toSorted(),
  ).toEqual(["er", "new", "new/other"]);
  const executable = readFileSync(join(folder.path, "pylon"));
  expect(executable.equals(readFileSync(join(folder.path, "deep/new/other")))).toBe(true);
  // Its sources may be in any folder too: it contains no path of this machine.
  expect(executable.includes(join(import.meta.dir, "../../.."))).toBe(false);
}, 180_000);

// Bun's executables read neither kind of file unless they are told to.
test("an executable reads the package.json of packages and the app's tsconfig", async () => {
  using folder = new TempFolder();
  await pylon(["compile"], folder.path);
  folder.write({
    "app/app.ts": noteApp("text: field.string()"),
    "app/tsconfig.json": JSON.stringify({ compilerOptions: { paths: { "@lib/*": ["./lib/*"] } } }),
    "app/lib/greeting.ts": "export const greeting = 'hello';",
    "app/node_modules/name/package.json": JSON.stringify({
      exports: { ".": "./code/name.mjs", "./other": "./code/other.mjs" },
    }),
    "app/node_modules/name/code/name.mjs": "export const name = 'Ann';",
    "app/node_modules/name/code/other.mjs": "export const other = 'Bob';",
    "app/functions/greet.ts": `import { query } from "@pylonsync/functions";
import { greeting } from "@lib/greeting.ts";
import { name } from "name";
import { other } from "name/other";
export default query({ args: {}, handler: () => [greeting, name, other] });`,
  });
  const command = [join(folder.path, "pylon")];
  const dev = await pylon(["dev", "--once", "--json"], join(folder.path, "app"), {}, command);
  expect(JSON.parse(dev.stdout)).toMatchObject({ code: "DEV_OK", diagnostics: [] });
}, 180_000);

test.each([
  [["--out", "."], "COMPILE_OUT_IS_FOLDER"],
  [["--target", "linux-x86"], "COMPILE_UNKNOWN_TARGET"],
])("compile %j is a usage error and writes nothing", async (args, code) => {
  using folder = new TempFolder();
  const { exitCode, stdout } = await pylon(["compile", ...args, "--json"], folder.path);
  expect(exitCode).toBe(64);
  expect(JSON.parse(stdout)).toMatchObject({ code, message: expect.stringContaining("--") });
  expect(readdirSync(folder.path)).toEqual([]);
});
