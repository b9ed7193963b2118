import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pylon, TempFolder } from "./testing/pylon-process.ts";

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
  expect(
    readFileSync(join(folder.path, "pylon")).equals(
      readFileSync(join(folder.path, "deep/new/other")),
    ),
  ).toBe(true);
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
