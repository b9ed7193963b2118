import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { batchesOf, Durations, testFiles, unitTestFiles } from "./test-files.mjs";

const ROOT = join(import.meta.dir, "..");
const SECONDS: Readonly<Record<string, number>> = {
  "tests/sync/wire.test.ts": 40,
  "a.test.ts": 2,
  "b.test.ts": 9,
  "c.test.ts": 6,
  "packages/x/memory.test.ts": 1,
};
const FILES = Object.keys(SECONDS);
const durations = { of: (file: string): number => (SECONDS[file] ?? 0) * 1_000 };

test("every test file is found, and a pattern narrows them", () => {
  const all = testFiles(ROOT, []);
  expect(all).toContain("scripts/test-files.test.ts");
  expect(all.filter((file) => file.includes("node_modules"))).toEqual([]);
  expect(testFiles(ROOT, ["scripts/test-files"])).toEqual(["scripts/test-files.test.ts"]);
});

test("on a first run the slowest files come first, and unit tests share processes", () => {
  const root = mkdtempSync(join(tmpdir(), "pylon-test-files-"));
  using _ = { [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
  const units = Array.from({ length: 30 }, (__, n) => `packages/query/src/${n}.test.ts`);
  mkdirSync(join(root, "packages/query/src"), { recursive: true });
  for (const file of units) writeFileSync(join(root, file), "");
  const unknown = new Durations(root);
  const files = [
    ...units,
    "docs/links.test.ts",
    "deploy/docker/images.test.ts",
    "packages/cli/src/package.test.ts",
  ];
  const batches = batchesOf(files, unknown, { onPostgres: false }).map((batch) => batch.files);
  expect(batches.slice(0, 2)).toEqual([
    ["deploy/docker/images.test.ts"],
    ["packages/cli/src/package.test.ts"],
  ]);
  expect(batches.length).toBe(4);
});

test("each file is in one batch of each store that it runs on, the slowest first", () => {
  const batches = batchesOf(FILES, durations, { onPostgres: true });
  const runs = batches.flatMap(({ files, store }) => files.map((file) => `${store} ${file}`));
  expect(runs.toSorted()).toEqual(
    [...FILES.map((file) => `sqlite ${file}`), "postgres tests/sync/wire.test.ts"].toSorted(),
  );
  expect(batches[0]?.files).toEqual(["tests/sync/wire.test.ts"]);
});

test("small files share a process, and measuring ones run alone", () => {
  const batches = batchesOf(FILES, durations, { onPostgres: false });
  expect(batches.map(({ files, isAlone }) => [files, isAlone])).toEqual([
    [["tests/sync/wire.test.ts"], false],
    [["b.test.ts", "c.test.ts"], false],
    [["a.test.ts"], false],
    [["packages/x/memory.test.ts"], true],
  ]);
});

test("a unit test is beside the code and starts nothing", () => {
  const units = unitTestFiles(ROOT, []);
  expect(units).toContain("packages/query/src/bind.test.ts");
  expect(units).toContain("packages/server/src/policy/rewind.test.ts");
  // It sends requests to its own server.
  expect(units).not.toContain("packages/server/src/request/body.test.ts");
  expect(units.filter((file) => !/^packages\/\w+\/src\//.test(file))).toEqual([]);
});
