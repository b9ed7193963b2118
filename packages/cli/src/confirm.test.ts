import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { noteApp, pylon, pylonAtTerminal, TempFolder } from "./testing/pylon-process.ts";

let folder: TempFolder;
beforeEach(async () => {
  folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  expect((await pylon(["migrate", "apply", "--yes"], folder.path)).exitCode).toBe(0);
  expect((await pylon(["backup", "copy"], folder.path)).exitCode).toBe(0);
  folder.write({ "app.ts": noteApp("text: field.string(), more: field.string().optional()") });
});
afterEach(() => folder[Symbol.dispose]());

const database = (): string =>
  readFileSync(join(folder.path, ".pylon", "dev.db")).toString("base64");
const COMMANDS = [["restore", "copy"], ["resync"], ["migrate", "apply"]];

describe.each(COMMANDS)("%s", (...args) => {
  test("fails without a terminal, names --yes, and changes nothing", async () => {
    const before = database();
    for (const json of [[], ["--json"]]) {
      const { exitCode, stdout, stderr } = await pylon([...args, ...json], folder.path);
      expect({ exitCode, said: stdout + stderr }).toEqual({
        exitCode: 64,
        said: expect.stringContaining("add --yes"),
      });
    }
    expect(database()).toBe(before);
    expect(
      readdirSync(join(folder.path, ".pylon")).filter((name) => name.includes("before")),
    ).toEqual([]);
    expect((await pylon([...args, "--yes"], folder.path)).exitCode).toBe(0);
  });

  test.each([
    ["Ctrl-D", "\u0004", 1, "Not confirmed, so nothing was changed."],
    ["Ctrl-C", "\u0003", 1, "Not confirmed, so nothing was changed."],
    ["no", "n\r", 0, "Aborted."],
  ])("%s at the question changes nothing", async (_what, typed, exitCode, said) => {
    const before = database();
    expect(await pylonAtTerminal(args, folder.path, ["[y/N] ", typed])).toEqual({
      exitCode,
      screen: expect.stringContaining(said),
    });
    expect(database()).toBe(before);
  });

  test("yes performs it", async () => {
    const { exitCode, screen } = await pylonAtTerminal(args, folder.path, ["[y/N] ", "y\r"]);
    expect({ exitCode, screen }).toEqual({
      exitCode: 0,
      screen: expect.stringMatching(/Restored|Done|Applied/),
    });
  });
});

test("a question about a missing database creates none until it is answered yes", async () => {
  using empty = new TempFolder();
  empty.write({ "app.ts": noteApp("text: field.string()") });
  expect((await pylon(["migrate", "apply"], empty.path)).exitCode).toBe(64);
  for (const typed of ["\u0003", "n\r"])
    await pylonAtTerminal(["migrate", "apply"], empty.path, ["[y/N] ", typed]);
  expect(readdirSync(empty.path)).toEqual(["app.ts"]);
  const { exitCode, screen } = await pylonAtTerminal(["migrate", "apply"], empty.path, [
    "[y/N] ",
    "y\r",
  ]);
  expect({ exitCode, screen, questions: screen.split("Apply to").length - 1 }).toEqual({
    exitCode: 0,
    screen: expect.stringContaining("Applied 1 step"),
    questions: 1,
  });
});

test("a secret that is not entered is not set", async () => {
  const { exitCode, screen } = await pylonAtTerminal(
    ["secrets", "set", "PYLON_SMTP_URL"],
    folder.path,
    ["PYLON_SMTP_URL: ", "\u0004"],
  );
  expect({ exitCode, screen }).toEqual({
    exitCode: 1,
    screen: expect.stringContaining("Not confirmed"),
  });
  expect(existsSync(join(folder.path, ".env.production"))).toBe(false);
  const typed = await pylonAtTerminal(["secrets", "set", "PYLON_SMTP_URL"], folder.path, [
    "PYLON_SMTP_URL: ",
    "smtp://canary\r",
  ]);
  expect(typed).toEqual({ exitCode: 0, screen: expect.not.stringContaining("canary") });
});
