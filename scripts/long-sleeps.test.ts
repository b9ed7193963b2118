import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { filesBelow } from "./test-files.mjs";

const ROOT = join(import.meta.dir, "..");
/** The maximum time that a test may sleep, in milliseconds: instead it waits for an event. */
const MAX_MS = 300;
/** A sleep, or a timer whose callback resolves an awaited promise. */
const WAIT = /\b(?:sleep|delay|aMoment)\((\d[\d_]*)\)|\bsetTimeout\(resolve, (\d[\d_]*)\)/g;
const IS_TEST = /(?:\.(?:test|suite)\.tsx?$|^tests\/|\/testing\/)/;

function longWaits(text: string): number[] {
  return [...text.matchAll(WAIT)]
    .map(([, sleep, timer]) => Number((sleep ?? timer ?? "").replaceAll("_", "")))
    .filter((ms) => ms >= MAX_MS);
}

test("no test sleeps for 300 ms or more", () => {
  const found: string[] = [];
  for (const path of filesBelow(ROOT, "")) {
    if (!IS_TEST.test(path) || basename(path) === "long-sleeps.test.ts") continue;
    const waits = longWaits(readFileSync(join(ROOT, path), "utf8"));
    found.push(...waits.map((ms) => `${path}: ${ms} ms`));
  }
  expect(found).toEqual([]);
});

test.each([
  ["await Bun.sleep(300);", [300]],
  ["await Bun.sleep(1_500);", [1500]],
  ["await new Promise((resolve) => setTimeout(resolve, 8_000));", [8000]],
  ["await Bun.sleep(50); setTimeout(stop, 5_000);", []],
])("%j has the long waits %p", (text, waits) => {
  expect(longWaits(text)).toEqual(waits);
});
