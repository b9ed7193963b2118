import { expect, test } from "bun:test";
import { existsSync, linkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import {
  noteApp,
  pylon,
  PylonProcess,
  TempFolder,
} from "../../packages/cli/src/testing/pylon-process.ts";
import { until } from "../support/client.ts";

test("a second server on a SQLite database is rejected in dev mode; one goes on", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  await using first = new PylonProcess(["dev", "--port", "0"], folder.path);
  const { port } = await first.event();
  const second = await pylon(["dev", "--port", "0"], folder.path);
  expect(second).toMatchObject({ exitCode: 1 });
  expect(second.stderr).toContain("SQLite supports only one server at a time");
  expect((await fetch(`http://localhost:${String(port)}/readyz`)).status).toBe(200);
  // Commands that only read or migrate are not servers.
  expect((await pylon(["migrate", "plan", "--json"], folder.path)).exitCode).toBe(0);
});

test("in production a second server waits until the first one ends, even suddenly", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  const env = { PYLON_DB_PATH: join(folder.path, "data", "pylon.db"), PYLON_LOG_FORMAT: "json" };
  const first = new PylonProcess(["start", "--port", "0"], folder.path, env);
  await first.event();
  await using second = new PylonProcess(["start", "--port", "0"], folder.path, env);
  await second.said("another server is using the database");
  const served = second.event();
  expect(await Promise.race([served.then(() => "served"), Promise.resolve("waits")])).toBe("waits");
  await first[Symbol.asyncDispose]();
  const { port } = await served;
  await until(async () => (await fetch(`http://localhost:${String(port)}/readyz`)).ok);
  expect(await second.end()).toBe(0);
});

test.each([
  { command: ["migrate", "apply", "--yes"] },
  { command: ["migrate", "plan"] },
  { command: ["doctor"] },
  { command: ["backup", "copy"] },
  { command: ["resync", "--yes"] },
])("F3: pylon $command does not open a served file by a hard link", async ({ command }) => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()"), "other/.keep": "" });
  const path = join(folder.path, "pylon.db");
  const other = join(folder.path, "other", "pylon.db");
  await using server = new PylonProcess(["start", "--port", "0"], folder.path, {
    PYLON_DB_PATH: path,
  });
  await server.event();
  linkSync(path, other);
  // SQLite would store what it writes beside the other name, and damage the file.
  folder.write({ "app.ts": noteApp("text: field.string(), more: field.string().optional()") });
  const { exitCode, stdout, stderr } = await pylon(command, folder.path, {
    PYLON_DB_PATH: other,
    PYLON_FILES_DIR: join(folder.path, "uploads"),
  });
  expect([exitCode, stdout + stderr]).toEqual([1, expect.stringContaining("under its other name")]);
  expect(existsSync(`${other}-wal`)).toBe(false);
});

test.each([
  ["a symbolic link", symlinkSync],
  ["a hard link", linkSync],
])("F3: a second server by %s to the file is rejected, and told of the first", async (_, link) => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()"), "data/.keep": "", "other/.keep": "" });
  const path = join(folder.path, "data", "pylon.db");
  const other = join(folder.path, "other", "pylon.db");
  const first = new PylonProcess(["dev", "--port", "0"], folder.path, { PYLON_DB_PATH: path });
  await first.event();
  link(path, other);
  const second = await pylon(["dev", "--port", "0"], folder.path, { PYLON_DB_PATH: other });
  expect(second).toMatchObject({ exitCode: 1 });
  expect(second.stderr).toContain("Another server is using the database");
  expect(second.stderr).toMatch(/process \d+ on /);
  // When the first server has ended, the other path can be used too.
  expect(await first.end()).toBe(0);
  await using third = new PylonProcess(["dev", "--port", "0"], folder.path, {
    PYLON_DB_PATH: other,
  });
  await third.event();
});
