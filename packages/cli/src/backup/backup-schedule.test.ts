import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { until } from "../../../../tests/support/client.ts";
import { appFolder } from "../testing/app-folder.ts";
import { pylon, PylonProcess } from "../testing/pylon-process.ts";
import { canMountDisks, SmallDisk } from "../testing/small-disk.ts";
import { BackupSchedule, type ScheduleOptions } from "./backup-schedule.ts";

const HOUR_MS = 60 * 60 * 1000;
const ADMIN = "0123456789abcdef0123456789abcdef";

const { folder, at } = appFolder();

/** A schedule whose clock the test controls, and whose backups are empty. */
function scheduleAt(options: Partial<ScheduleOptions> = {}): {
  readonly schedule: BackupSchedule;
  readonly log: string[];
  readonly wait: (hours: number) => Promise<void>;
  readonly names: () => string[];
} {
  const dir = at("backups");
  mkdirSync(dir, { recursive: true });
  let now = Date.parse("2026-01-01T00:00:00.000Z");
  const log: string[] = [];
  const make = async (path: string): Promise<void> => {
    mkdirSync(path);
    writeFileSync(join(path, "backup.json"), "{}");
  };
  const schedule = new BackupSchedule({
    dir,
    hours: 24,
    keep: 3,
    make,
    now: () => now,
    onResult: (_path, outcome) =>
      log.push(outcome === "made" ? "made" : Object.keys(outcome).join()),
    ...options,
  });
  const wait = (hours: number): Promise<void> => {
    now += hours * HOUR_MS;
    return schedule.look();
  };
  return { schedule, log, wait, names: () => readdirSync(dir).toSorted() };
}

test("makes the first, then one after its hours, and keeps the newest", async () => {
  const { log, wait, names } = scheduleAt();
  await wait(0);
  expect(names()).toEqual(["2026-01-01T00-00-00-000Z"]);
  await wait(23);
  expect(log).toEqual(["made"]);
  for (const hours of [1, 24, 24, 24]) await wait(hours);
  expect(names()).toEqual([
    "2026-01-03T00-00-00-000Z",
    "2026-01-04T00-00-00-000Z",
    "2026-01-05T00-00-00-000Z",
  ]);
  expect(log).toEqual(["made", "made", "made", "made", "made"]);
});

test("a failed backup removes none of the others, and is retried in an hour", async () => {
  let isBroken = true;
  const { log, wait, names } = scheduleAt({
    keep: 1,
    make: async (path) => {
      if (isBroken) throw new Error("no room");
      mkdirSync(path);
      writeFileSync(join(path, "backup.json"), "{}");
    },
  });
  folder.write({
    "backups/2025-12-01T00-00-00-000Z/backup.json": "{}",
    "backups/2025-12-02T00-00-00-000Z/backup.json": "{}",
  });
  await wait(0);
  await wait(0.9);
  expect(log).toEqual(["error"]);
  expect(names()).toHaveLength(2);
  isBroken = false;
  await wait(0.2);
  expect(log).toEqual(["error", "made"]);
  expect(names()).toEqual(["2026-01-01T01-06-00-000Z"]);
});

test("an old one that can't be deleted fails no backup, is logged, and retried", async () => {
  const old = "2025-12-01T00-00-00-000Z";
  folder.write({ [`backups/${old}/backup.json`]: "{}" });
  let inTheWay: Readonly<Record<string, string>> = { [`backups/${old}.partial/in-the-way`]: "" };
  const { log, wait, names } = scheduleAt({
    keep: 1,
    make: async (path) => {
      mkdirSync(path);
      writeFileSync(join(path, "backup.json"), "{}");
      folder.write(inTheWay);
    },
  });
  await wait(0);
  expect(names()).toEqual([old, `${old}.partial`, "2026-01-01T00-00-00-000Z"]);
  inTheWay = {};
  await wait(24);
  expect(names()).toEqual(["2026-01-02T00-00-00-000Z"]);
  expect(log).toEqual(["made", "leftover", "made"]);
});

test("other files stay, and neither a partial backup nor a future one counts", async () => {
  folder.write({
    "backups/mine/backup.json": "{}",
    "backups/2025-12-31T23-00-00-000Z/half": "",
    "backups/2025-12-31T23-30-00-000Z.partial/half": "",
    "backups/2027-01-01T00-00-00-000Z/backup.json": "{}",
    "backups/mine.partial/a": "",
  });
  const { wait, names } = scheduleAt({ keep: 1 });
  await wait(0);
  expect(names()).toEqual([
    "2025-12-31T23-00-00-000Z",
    "2026-01-01T00-00-00-000Z",
    "2027-01-01T00-00-00-000Z",
    "mine",
    "mine.partial",
  ]);
});

async function metric(port: unknown, name: string): Promise<number> {
  const text = await (
    await fetch(`http://localhost:${String(port)}/metrics`, {
      headers: { Authorization: `Bearer ${ADMIN}` },
    })
  ).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

test("a configured server makes a restorable backup, and the next start waits", async () => {
  const env = { PYLON_BACKUP_DIR: "copies", PYLON_ADMIN_TOKEN: ADMIN, PYLON_BACKUP_KEEP: "1" };
  folder.write({ "uploads/deep/one": "on paper" });
  const backups = (): string[] =>
    existsSync(at("copies"))
      ? readdirSync(at("copies")).filter((name) => existsSync(at(`copies/${name}/backup.json`)))
      : [];
  {
    await using server = new PylonProcess(["start", "--port", "0"], folder.path, env);
    const { port } = await server.event();
    await until(async () => (await metric(port, "pylon_backups_total")) === 1);
    expect(await metric(port, "pylon_backup_failures_total")).toBe(0);
    expect(await server.end()).toBe(0);
    expect(await server.stderr).toContain("backup made");
  }
  const [name = ""] = backups();
  expect(name).toMatch(/^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$/);
  expect(statSync(at(`copies/${name}/pylon.db`)).mode & 0o777).toBe(0o600);
  expect(readFileSync(at(`copies/${name}/uploads/deep/one`), "utf8")).toBe("on paper");
  const { stdout } = await pylon(["restore", `copies/${name}`, "--yes", "--json"], folder.path);
  expect(JSON.parse(stdout)).toMatchObject({ code: "RESTORE_OK", restored_files: 1 });
  // As if a day had passed.
  const old = "2020-01-01T00-00-00-000Z";
  for (const before of ["start", "old"]) {
    if (before === "old") renameSync(at(`copies/${name}`), at(`copies/${old}`));
    await using server = new PylonProcess(["start", "--port", "0"], folder.path, env);
    const { port } = await server.event();
    if (before === "old")
      await until(
        async () => (await metric(port, "pylon_backups_total")) === 1 && backups().length === 1,
      );
    expect(await server.end()).toBe(0);
    if (before === "start") expect(readdirSync(at("copies"))).toEqual([name]);
  }
  expect(backups()).not.toContain(old);
});

test("requests are answered while a large database is copied", async () => {
  {
    await using server = new PylonProcess(["start", "--port", "0"], folder.path);
    await server.event();
    await server.end();
  }
  const fill = spawnSync(
    process.execPath,
    [
      "-e",
      'const { Database } = require("bun:sqlite"); const db = new Database("pylon.db"); ' +
        'db.run("CREATE TABLE filler (x)"); db.run("INSERT INTO filler WITH RECURSIVE n(i) AS ' +
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT randomblob(1000000) " +
        'FROM n"); db.close();',
    ],
    { cwd: folder.path },
  );
  expect(fill.status).toBe(0);
  await using server = new PylonProcess(["start", "--port", "0"], folder.path, {
    PYLON_BACKUP_DIR: "copies",
    PYLON_ADMIN_TOKEN: ADMIN,
    PYLON_RATE_LIMIT_MAX: "0",
  });
  const { port } = await server.event();
  const copied = (): number =>
    Math.max(
      0,
      ...readdirSync(at("copies")).map(
        (name) => statSync(at(`copies/${name}/pylon.db`), { throwIfNoEntry: false })?.size ?? 0,
      ),
    );
  // Counts responses during which the copy grew: a blocked server would send the first one after
  // the end of the copy, and no second one.
  let answered = 0;
  while (!readdirSync(at("copies")).some((name) => existsSync(at(`copies/${name}/backup.json`)))) {
    const before = copied();
    expect(
      (
        await fetch(`http://localhost:${String(port)}/api/entities/Note`, {
          method: "POST",
          body: JSON.stringify({ text: "a" }),
        })
      ).status,
    ).toBe(201);
    if (copied() > before) answered += 1;
  }
  expect(answered).toBeGreaterThan(1);
  await server.end();
}, 60_000);

test.skipIf(!canMountDisks())(
  "a full disk is logged and counted, and the server goes on",
  async () => {
    using _disk = new SmallDisk(at("small"));
    await using server = new PylonProcess(["start", "--port", "0"], folder.path, {
      PYLON_BACKUP_DIR: "small",
      PYLON_ADMIN_TOKEN: ADMIN,
    });
    const { port } = await server.event();
    await until(async () => (await metric(port, "pylon_backup_failures_total")) === 1);
    expect((await fetch(`http://localhost:${String(port)}/readyz`)).status).toBe(200);
    await server.end();
    expect(await server.stderr).toMatch(/"level":"error".*backup failed.*disk is full/);
    expect(readdirSync(at("small"))).toEqual([]);
  },
);

test.each([
  [
    { DATABASE_URL: "postgres://localhost/app", PYLON_BACKUP_DIR: "copies" },
    "rows are in Postgres",
  ],
  [{ PYLON_BACKUP_DIR: "uploads/copies" }, "each backup would contain the previous ones"],
  [{ PYLON_BACKUP_DIR: "app.ts" }, "PYLON_BACKUP_DIR can't be used"],
  [{ PYLON_BACKUP_DIR: "copies", PYLON_BACKUP_HOURS: "0" }, "PYLON_BACKUP_HOURS"],
])("start rejects %j in one line", async (env, said) => {
  const { exitCode, stderr } = await pylon(["start", "--port", "0"], folder.path, env);
  expect({ exitCode, stderr, lines: stderr.trim().split("\n").length }).toEqual({
    exitCode: 1,
    stderr: expect.stringContaining(said),
    lines: 1,
  });
});
