import { beforeEach, describe, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { appFolder } from "./testing/app-folder.ts";
import { noteApp, pylon, PylonProcess, TempFolder } from "./testing/pylon-process.ts";

type Json = Readonly<Record<string, unknown>>;
type Environment = Readonly<Record<string, string>>;

const { folder, at } = appFolder();

async function run(
  args: readonly string[],
  env: Environment = {},
): Promise<{ exitCode: number; json: Json }> {
  const { exitCode, stdout } = await pylon([...args, "--json"], folder.path, env);
  return { exitCode, json: JSON.parse(stdout) as Json };
}

/** Runs the server until a note is written. */
async function serve(
  command: "start" | "dev",
  note: string,
  env: Environment = {},
  cwd = folder.path,
  ...args: string[]
): Promise<void> {
  await using server = new PylonProcess([command, "--port", "0", ...args], cwd, env);
  const { port } = await server.event();
  const { status } = await fetch(`http://localhost:${String(port)}/api/entities/Note`, {
    method: "POST",
    body: JSON.stringify({ text: note }),
  });
  expect(status).toBe(201);
  expect(await server.end()).toBe(0);
}

function notesIn(file: string): string[] {
  const database = new Database(at(file), { readonly: true });
  const rows = database.query<{ text: string }, []>('SELECT text FROM "Note" ORDER BY text').all();
  database.close();
  return rows.map(({ text }) => text);
}

/** All files except those that SQLite and the lock keep beside a database. */
const files = (): string[] =>
  readdirSync(folder.path, { recursive: true, encoding: "utf8" })
    .filter((path) => !/-(wal|shm|server)$/.test(path) && statSync(at(path)).isFile())
    .toSorted();

test("after start, commands use the data that it served, and restore brings it back", async () => {
  await serve("start", "before");
  folder.write({ "uploads/one": "on paper" });
  expect(await run(["backup", "copy"])).toMatchObject({
    exitCode: 0,
    json: { uploaded_files: 1, database: at("pylon.db"), uploads: at("uploads") },
  });
  await serve("start", "after");
  expect(await run(["restore", "copy", "--yes"])).toMatchObject({
    exitCode: 0,
    json: { database: at("pylon.db"), uploads: at("uploads") },
  });
  expect(notesIn("pylon.db")).toEqual(["before"]);
  expect(await run(["resync", "--yes"])).toMatchObject({
    exitCode: 0,
    json: { database: at("pylon.db") },
  });
  expect(await run(["migrate", "plan"])).toMatchObject({
    exitCode: 0,
    json: { database: at("pylon.db"), pending: 0 },
  });
  expect(existsSync(at(".pylon"))).toBe(false);
});

test("an app that is served from another folder has its data in its own folder", async () => {
  using elsewhere = new TempFolder();
  await serve("start", "mine", {}, elsewhere.path, folder.path);
  expect(readdirSync(elsewhere.path)).toEqual([]);
  const { stdout } = await pylon(["backup", "copy", folder.path, "--json"], elsewhere.path);
  expect(JSON.parse(stdout)).toMatchObject({ code: "BACKUP_OK", database: at("pylon.db") });
});

describe("if both start and dev have run", () => {
  beforeEach(async () => {
    await serve("start", "served");
    await serve("dev", "developed");
    folder.write({ "uploads/one": "1", ".pylon/uploads/two": "2", ".pylon/uploads/three": "3" });
  });

  test("an ambiguous command fails, names both and changes nothing", async () => {
    expect((await run(["backup", "copy"], { PYLON_DB_PATH: "pylon.db" })).exitCode).toBe(0);
    const before = files();
    for (const args of [
      ["backup", "second"],
      ["restore", "copy", "--yes"],
      ["resync", "--yes"],
      ["migrate", "plan"],
      ["migrate", "apply", "--yes"],
    ]) {
      const { exitCode, json } = await run(args);
      expect({ args, exitCode, code: json["code"] }).toEqual({
        args,
        exitCode: 1,
        code: "DATA_AMBIGUOUS",
      });
      for (const text of [
        `PYLON_DB_PATH=${at("pylon.db")}`,
        `PYLON_DB_PATH=${at(".pylon/dev.db")}`,
        "PYLON_FILES_DIR",
      ])
        expect(json["message"]).toContain(text);
    }
    expect(files()).toEqual(before);
  });

  test.each([
    ["pylon.db", "uploads", 1],
    [".pylon/dev.db", ".pylon/uploads", 2],
  ])("PYLON_DB_PATH=%s says that %s is meant too", async (database, uploads, count) => {
    expect(await run(["backup", "copy"], { PYLON_DB_PATH: database })).toMatchObject({
      exitCode: 0,
      json: { uploaded_files: count, database: at(database), uploads: at(uploads) },
    });
  });

  test("the variables take precedence, also those of .env", async () => {
    folder.write({
      "other/three": "",
      ".env": `PYLON_DB_PATH=${at("pylon.db")}\nPYLON_FILES_DIR=${at("other")}\n`,
    });
    expect(await run(["backup", "copy"])).toMatchObject({
      exitCode: 0,
      json: { uploaded_files: 1, database: at("pylon.db"), uploads: at("other") },
    });
  });

  test("a database elsewhere requires to know which of two file folders is its own", async () => {
    folder.write({ "data/x.db": "" });
    writeFileSync(at("data/x.db"), readFileSync(at("pylon.db")));
    const env = { PYLON_DB_PATH: "data/x.db" };
    expect(await run(["backup", "copy"], env)).toMatchObject({
      exitCode: 1,
      json: {
        code: "DATA_AMBIGUOUS",
        message: expect.stringContaining(`PYLON_FILES_DIR=${at("uploads")}`),
      },
    });
    expect((await run(["resync", "--yes"], env)).exitCode).toBe(0);
    expect((await run(["backup", "copy"], { ...env, PYLON_FILES_DIR: "uploads" })).exitCode).toBe(
      0,
    );
  });
});

test("rows in Postgres are used, whatever files are in the folder", async () => {
  folder.write({ "uploads/one": "1", ".pylon/uploads/two": "2" });
  for (const path of ["", "data/x.db"]) {
    const { exitCode, json } = await run(["backup", "copy"], {
      PYLON_DB_PATH: path,
      DATABASE_URL: "postgres://localhost/app",
    });
    expect({ exitCode, code: json["code"] }).toEqual({ exitCode: 1, code: "BACKUP_NOT_SQLITE" });
  }
});

test("in an unused folder, only what was restored or migrated is created", async () => {
  for (const args of [
    ["backup", "copy"],
    ["resync", "--yes"],
  ])
    expect(await run(args)).toMatchObject({ exitCode: 1, json: { code: "BACKUP_NO_DATABASE" } });
  expect(await run(["migrate", "plan"])).toMatchObject({ exitCode: 0, json: { pending: 1 } });
  expect(files()).toEqual(["app.ts"]);
  using other = new TempFolder();
  other.write({ "app.ts": noteApp("text: field.string()") });
  await serve("dev", "a");
  await pylon(["backup", join(other.path, "copy"), "--json"], folder.path);
  const { stdout } = await pylon(["restore", "copy", "--yes", "--json"], other.path);
  expect(JSON.parse(stdout)).toMatchObject({
    code: "RESTORE_OK",
    database: join(other.path, "pylon.db"),
  });
});

test("only its owner can read a backup", async () => {
  await serve("start", "a");
  folder.write({ "uploads/deep/one": "1" });
  expect((await run(["backup", "backups/monday"])).exitCode).toBe(0);
  const modes = readdirSync(at("backups"), { recursive: true, withFileTypes: true }).map(
    (entry) => [entry.isFile(), statSync(join(entry.parentPath, entry.name)).mode & 0o777],
  );
  expect(modes.length).toBeGreaterThan(5);
  for (const [isFile, mode] of modes) expect(mode).toBe(isFile === true ? 0o600 : 0o700);
});

test.skipIf(process.getuid?.() !== 0)(
  "what root restores belongs to whom the old data belongs, or its folder",
  async () => {
    await serve("start", "a");
    folder.write({ "uploads/deep/one": "1" });
    expect((await run(["backup", "copy"])).exitCode).toBe(0);
    chownSync(at("pylon.db"), 10_001, 10_002);
    for (const path of ["uploads", "uploads/deep", "uploads/deep/one"])
      chownSync(at(path), 10_001, 10_002);
    mkdirSync(at("new"));
    chownSync(at("new"), 10_003, 10_003);
    const ownerOf = (path: string): string => `${statSync(at(path)).uid}:${statSync(at(path)).gid}`;
    expect((await run(["restore", "copy", "--yes"])).exitCode).toBe(0);
    for (const path of ["pylon.db", "uploads", "uploads/deep", "uploads/deep/one"])
      expect([path, ownerOf(path)]).toEqual([path, "10001:10002"]);
    expect(
      (
        await run(["restore", "copy", "--yes"], {
          PYLON_DB_PATH: "new/pylon.db",
          PYLON_FILES_DIR: "new/deep/uploads",
        })
      ).exitCode,
    ).toBe(0);
    for (const path of [
      "new/pylon.db",
      "new/pylon.db-server",
      "new/deep",
      "new/deep/uploads",
      "new/deep/uploads/deep/one",
    ])
      expect([path, ownerOf(path)]).toEqual([path, "10003:10003"]);
  },
);
