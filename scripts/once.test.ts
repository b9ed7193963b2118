import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  mkdirSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeOnce } from "./once.mjs";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pylon-once-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("of several processes one makes it, and the others wait until it exists", async () => {
  const [made, lock] = [join(folder, "made"), join(folder, "lock")];
  const script = `
    import { appendFileSync, existsSync } from "node:fs";
    import { makeOnce } from ${JSON.stringify(join(import.meta.dir, "once.mjs"))};
    makeOnce(${JSON.stringify(lock)}, () => existsSync(${JSON.stringify(made)}), () => {
      Bun.sleepSync(100);
      appendFileSync(${JSON.stringify(made)}, "made\\n");
    });
    process.exit(existsSync(${JSON.stringify(made)}) ? 0 : 1);`;
  const children = [1, 2, 3].map(() => Bun.spawn([process.execPath, "-e", script]));
  expect(await Promise.all(children.map(({ exited }) => exited))).toEqual([0, 0, 0]);
  expect(readFileSync(made, "utf8")).toBe("made\n");
  expect(existsSync(lock)).toBe(false);
});

test("a process that ends while it makes it leaves no lock", async () => {
  const lock = join(folder, "ended-lock");
  const script = `
    import { makeOnce } from ${JSON.stringify(join(import.meta.dir, "once.mjs"))};
    makeOnce(${JSON.stringify(lock)}, () => false, () => process.exit(3));`;
  expect(await Bun.spawn([process.execPath, "-e", script]).exited).toBe(3);
  expect(existsSync(lock)).toBe(false);
});

test("after a failure the next one tries, and the lock of a dead process is taken over", () => {
  const [made, lock] = [join(folder, "late"), join(folder, "late-lock")];
  const fail = (): void => {
    throw new Error("no network");
  };
  expect(() => makeOnce(lock, () => existsSync(made), fail)).toThrow("no network");
  mkdirSync(lock);
  utimesSync(lock, 0, 0);
  makeOnce(
    lock,
    () => existsSync(made),
    () => appendFileSync(made, "made"),
  );
  expect(existsSync(made)).toBe(true);
});
