import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { appFolder } from "./testing/app-folder.ts";
import { COMMAND, pylon, type Result } from "./testing/pylon-process.ts";
import { canMountDisks, SmallDisk } from "./testing/small-disk.ts";

const NOBODY = 65_534;
const isRoot = process.platform === "linux" && process.getuid?.() === 0;

const { folder, at } = appFolder();

/** Expects one line for people, without a stack. */
function expectSentence({ exitCode, stdout, stderr }: Result, ...parts: readonly string[]): void {
  expect({ exitCode, stdout, lines: stderr.trim().split("\n").length }).toEqual({
    exitCode: 1,
    stdout: "",
    lines: 1,
  });
  for (const part of parts) expect(stderr).toContain(part);
  expect(stderr).not.toMatch(/\n\s+at |\.ts:\d/);
}

test("init below a file says so, and leaves nothing", async () => {
  folder.write({ file: "" });
  expectSentence(
    await pylon(["init", "file/app"], folder.path),
    "The app was not created",
    "not a folder",
  );
  expect(readdirSync(folder.path).toSorted()).toEqual(["app.ts", "file"]);
});

test("a file that is not a database is named by start, with what to do", async () => {
  writeFileSync(
    at("pylon.db"),
    "this is a text and no database of SQLite, as anybody sees ".repeat(40),
  );
  expectSentence(
    await pylon(["start", "--port", "0"], folder.path),
    at("pylon.db"),
    "not a complete SQLite database",
    "PYLON_DB_PATH",
  );
});

describe.skipIf(!isRoot)("for a user without write permission", () => {
  const asNobody = [
    "setpriv",
    `--reuid=${NOBODY}`,
    `--regid=${NOBODY}`,
    "--clear-groups",
    ...COMMAND,
  ];

  test("init, start and backup name the path, the user, and what to do", async () => {
    chmodSync(folder.path, 0o755);
    expectSentence(
      await pylon(["init", "other"], folder.path, {}, asNobody),
      at("other"),
      `the id ${NOBODY}`,
      "use another location",
    );
    mkdirSync(at("data"));
    expectSentence(
      await pylon(
        ["start", "--port", "0"],
        folder.path,
        { PYLON_DB_PATH: "data/pylon.db" },
        asNobody,
      ),
      "data/pylon.db",
      `the id ${NOBODY}`,
      "PYLON_DB_PATH",
    );
    expectSentence(
      await pylon(
        ["start", "--port", "0"],
        folder.path,
        { PYLON_DB_PATH: at("nowhere/pylon.db") },
        asNobody,
      ),
      at("nowhere/pylon.db"),
      `the id ${NOBODY}`,
    );
    expect((await pylon(["migrate", "apply", "--yes"], folder.path)).exitCode).toBe(0);
    chmodSync(at(".pylon"), 0o777);
    chmodSync(at(".pylon/dev.db"), 0o666);
    expectSentence(
      await pylon(["backup", "copy"], folder.path, {}, asNobody),
      "The backup failed",
      at("copy"),
      `the id ${NOBODY}`,
    );
  });
});

describe.skipIf(!canMountDisks())("on a full disk", () => {
  let disk: SmallDisk;
  beforeEach(() => {
    disk = new SmallDisk(at("small"));
  });
  afterEach(() => disk[Symbol.dispose]());

  test("init says so, and a retry is not hindered by a partial folder", async () => {
    writeFileSync(at("small/filler"), Buffer.alloc(56 * 1024));
    expectSentence(
      await pylon(["init", "small/app", "--template", "todo"], folder.path),
      "disk is full",
    );
    expect(readdirSync(at("small"))).toEqual(["filler"]);
  });

  test("backup reports it and leaves nothing, for the database and for a file", async () => {
    expect((await pylon(["migrate", "apply", "--yes"], folder.path)).exitCode).toBe(0);
    expectSentence(
      await pylon(["backup", "small/copy"], folder.path),
      "The backup failed, and its partial files were removed",
      "disk is full",
    );
    disk.resize("1m");
    folder.write({ ".pylon/uploads/large": "x".repeat(2_000_000) });
    expectSentence(await pylon(["backup", "small/copy"], folder.path), "disk is full");
    expect(readdirSync(at("small"))).toEqual([]);
  });

  test("restore says so and changes nothing", async () => {
    expect((await pylon(["migrate", "apply", "--yes"], folder.path)).exitCode).toBe(0);
    expect((await pylon(["backup", "copy"], folder.path)).exitCode).toBe(0);
    expectSentence(
      await pylon(["restore", "copy", "--yes"], folder.path, {
        PYLON_DB_PATH: at("small/pylon.db"),
      }),
      "Nothing was changed",
      "disk is full",
    );
    expect(readdirSync(at("small")).filter((name) => name !== "pylon.db-server")).toEqual([]);
  });
});
