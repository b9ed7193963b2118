import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunClaims } from "./run-claims.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pylon-claims-"));
  path = join(folder, "claims");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a run that was withdrawn does not start, and one that has started is not withdrawn", () => {
  const server = RunClaims.create(path);
  const process = RunClaims.open(path);
  expect(process.start(1)).toBe(true);
  expect(server.withdraw(3)).toBe(1);
  expect(process.start(2)).toBe(false);
  expect(process.start(3)).toBe(false);
  expect(process.start(4)).toBe(true);
  expect(server.withdraw(4)).toBe(4);
});

test("each run is either started or withdrawn while both decide at the same time", async () => {
  const server = RunClaims.create(path);
  const module = JSON.stringify(join(import.meta.dir, "run-claims.ts"));
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `const { RunClaims } = await import(${module});
       const claims = RunClaims.open(${JSON.stringify(path)});
       const started = [];
       for (let run = 1; run <= 20_000; run += 1) if (claims.start(run)) started.push(run);
       console.log(JSON.stringify(started));`,
    ],
    { stdout: "pipe" },
  );
  const withdrawn = new Set<number>();
  let last = 0;
  while (last < 20_000) {
    const upTo = Math.min(20_000, last + 7);
    for (let run = Math.max(last, server.withdraw(upTo)) + 1; run <= upTo; run += 1)
      withdrawn.add(run);
    last = upTo;
    if (last % 70 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const started = JSON.parse(await new Response(child.stdout).text()) as number[];
  for (const run of started) expect(withdrawn.has(run)).toBe(false);
  expect(started.length + withdrawn.size).toBe(20_000);
});
