import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ManifestCron } from "@pylonsync/sdk";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import { systemPlatform } from "../platform.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { checkCrons } from "./check-crons.ts";
import { Crons } from "./crons.ts";
import { JobTable } from "./job-table.ts";

const USES_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const DIGEST: ManifestCron = { name: "digest", schedule: "0 8 * * *", function: "send" };
const dir = mkdtempSync(join(tmpdir(), "pylon-crons-"));
let store: Store;
let table: JobTable;
let nowMs: number;

beforeAll(async () => {
  store = await openStore(
    USES_POSTGRES
      ? { kind: "postgres", url: await createDatabase(sharedPostgresUrl()), poolMax: 4, ca: null }
      : { kind: "sqlite", path: join(dir, "crons.db"), isTemporary: true },
    { startTimeoutMs: 0, onState: () => undefined },
  );
  table = new JobTable(store, { ...systemPlatform, now: () => nowMs });
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  at("2026-03-01T07:00:00Z");
  for (const name of ["_pylon_crons", "_pylon_jobs"])
    await store.transact((tx) => tx.deleteWhere(name, { kind: "literal", value: true }));
});

function at(time: string): void {
  nowMs = Date.parse(time);
}

/** The crons of one replica. */
function replica(...declared: ManifestCron[]): Crons {
  const crons = new Crons(
    store,
    () => nowMs,
    (tx, call) => table.add(tx, call),
  );
  crons.declare(declared);
  return crons;
}

const jobs = async (): Promise<number> => (await table.list({}, 100)).length;

async function endAll(): Promise<void> {
  const taken = await table.take(100, () => 30_000);
  await table.finishAll(taken.map((job) => ({ job, outcome: { kind: "completed" } as const })));
}

test("a cron's function is called once per time, whichever replicas check", async () => {
  const replicas = [replica(DIGEST), replica(DIGEST), replica(DIGEST)];
  const look = async (): Promise<void> => {
    await Promise.all(replicas.map((crons) => crons.settleDue()));
  };
  await look();
  expect(await jobs()).toBe(0);
  expect(replicas[0]?.nextDue).toBe(Date.parse("2026-03-01T08:00:00Z"));
  at("2026-03-01T08:00:01Z");
  await look();
  await look();
  expect(await table.list({}, 10)).toMatchObject([
    { name: "send", args: "{}", queue: "functions" },
  ]);
  await endAll();
  at("2026-03-02T08:00:01Z");
  await look();
  expect((await table.counts()).pending).toBe(1);
});

test("missed times cause one call, or none if the cron declares so", async () => {
  const skips: ManifestCron = { ...DIGEST, name: "skips", missed: "skip" };
  const crons = replica(DIGEST, skips);
  await crons.settleDue();
  at("2026-03-05T12:00:00Z");
  // As after a restart.
  const later = replica(DIGEST, skips);
  await later.settleDue();
  expect(await jobs()).toBe(1);
  expect(await later.states()).toMatchObject([
    { cron: { name: "digest" }, lastAt: nowMs, nextAt: Date.parse("2026-03-06T08:00:00Z") },
    { cron: { name: "skips" }, nextAt: Date.parse("2026-03-06T08:00:00Z") },
  ]);
});

test("there is no second call while the last one runs, unless the cron declares so", async () => {
  const minute: ManifestCron = { name: "minute", schedule: "* * * * *", function: "send" };
  const both: ManifestCron = { ...minute, name: "both", overlap: "run" };
  const crons = replica(minute, both);
  await crons.settleDue();
  for (const time of ["07:01:01", "07:02:01", "07:03:01"]) {
    at(`2026-03-01T${time}Z`);
    await crons.settleDue();
    await table.take(100, () => 600_000);
  }
  expect(await jobs()).toBe(1 + 3);
});

test("a changed schedule applies from now on; due times of the old one are dropped", async () => {
  await replica(DIGEST).settleDue();
  at("2026-03-01T09:00:00Z");
  const changed = replica({ ...DIGEST, schedule: "0 20 * * *" });
  await changed.settleDue();
  expect(await jobs()).toBe(0);
  expect(changed.nextDue).toBe(Date.parse("2026-03-01T20:00:00Z"));
});

test("a cron that is triggered manually runs immediately, with its arguments", async () => {
  const crons = replica({ ...DIGEST, args: { kind: "daily" } });
  expect(await crons.trigger("nope")).toBeNull();
  expect(await crons.trigger("digest")).toMatch(/./);
  expect(await table.list({}, 10)).toMatchObject([{ args: '{"kind":"daily"}' }]);
});

test("a cron that can't be called delays no other", async () => {
  const broken: ManifestCron = { ...DIGEST, name: "n".repeat(600) };
  const crons = replica(broken, DIGEST);
  await crons.settleDue();
  at("2026-03-01T08:00:01Z");
  const settled = await crons.settleDue().then(
    () => null,
    (error: unknown) => error,
  );
  expect(settled).toMatchObject({ code: "INVALID_ARGS" });
  expect(await jobs()).toBe(1);
});

test("a cron that could never run is an error of the app, with its name", () => {
  const functions = new Map([["send", { type: "action" as const, args: {}, handler: () => null }]]);
  const messages = (...crons: ManifestCron[]): string[] =>
    checkCrons(crons, functions).map(({ message, hint }) => `${message} ${String(hint)}`);
  expect(messages(DIGEST)).toEqual([]);
  expect(messages({ ...DIGEST, function: "sent" })[0]).toContain('Did you mean "send"?');
  expect(messages({ ...DIGEST, schedule: "every day" })[0]).toContain("schedule");
  expect(messages({ ...DIGEST, schedule: "0 0 31 2 *" })[0]).toContain("it never matches");
  expect(messages({ ...DIGEST, timezone: "Berlin" })[0]).toContain("Europe/Berlin");
  expect(messages(DIGEST, DIGEST)[0]).toContain('Two crons are named "digest"');
  expect(messages({ ...DIGEST, name: "n".repeat(512) })[0]).toContain("1 to 256 characters");
  expect(messages({ ...DIGEST, name: "a\0b" })[0]).toContain("without NUL");
  expect(messages({ ...DIGEST, args: { text: "x".repeat(300_000) } })[0]).toContain("bytes");
  expect(messages({ ...DIGEST, args: { kind: "x" } })[0]).toContain('Unknown field "kind"');
});

test("a cron is late from its time until its job is created", async () => {
  const crons = replica(DIGEST, { name: "hourly", schedule: "30 * * * *", function: "send" });
  expect(await crons.late()).toEqual({ digest: 0, hourly: 0 });
  await crons.settleDue();
  at("2026-03-01T08:05:00Z");
  expect(await crons.late()).toEqual({ digest: 300, hourly: 2_100 });
  await crons.settleDue();
  expect(await crons.late()).toEqual({ digest: 0, hourly: 0 });
  expect(await replica().late()).toEqual({});
});

test("a clock set back runs no time twice, and one that was far ahead stops no cron", async () => {
  const crons = replica({ ...DIGEST, overlap: "run" });
  const lookAt = async (time: string): Promise<number> => {
    at(time);
    await crons.settleDue();
    await endAll();
    return jobs();
  };
  expect(await lookAt("2026-03-01T07:00:00Z")).toBe(0);
  expect(await lookAt("2026-03-01T08:00:00Z")).toBe(1);
  // Back by an hour, before the time that ran: it does not run again.
  expect(await lookAt("2026-03-01T07:30:00Z")).toBe(1);
  expect(await lookAt("2026-03-01T08:00:00Z")).toBe(1);
  expect(await lookAt("2026-03-02T08:00:00Z")).toBe(2);
  // Ahead by ten years, and back: later times run.
  expect(await lookAt("2036-06-01T00:00:00Z")).toBe(3);
  expect(await lookAt("2026-03-02T09:00:00Z")).toBe(3);
  expect(await lookAt("2026-03-03T08:00:00Z")).toBe(4);
  expect(await lookAt("2026-03-03T08:00:01Z")).toBe(4);
  // The same for a replica that has just started.
  at("2026-03-01T00:00:00Z");
  const other = replica(DIGEST);
  await other.settleDue();
  expect(other.nextDue).toBe(Date.parse("2026-03-01T08:00:00Z"));
});

test("a thousand waiting crons cost less than 1% of a core, and no statement", async () => {
  const declared = Array.from({ length: 1_000 }, (_, index) => ({ ...DIGEST, name: `c${index}` }));
  let transactions = 0;
  const counting: Pick<Store, "transact"> = {
    transact: (work, options) => {
      transactions += 1;
      return store.transact(work, options);
    },
  };
  const counted = new Proxy(store, {
    get: (target, name) => Reflect.get(name === "transact" ? counting : target, name) as unknown,
  });
  const crons = new Crons(
    counted,
    () => nowMs,
    (tx, call) => table.add(tx, call),
  );
  crons.declare(declared);
  await crons.settleDue();
  expect(transactions).toBe(1_000);
  const before = process.cpuUsage();
  // Ten minutes of checks, one per second.
  for (let second = 1; second < 600; second += 1) {
    nowMs += 1_000;
    await crons.settleDue();
    expect(crons.nextDue).toBeGreaterThan(nowMs);
  }
  const { user, system } = process.cpuUsage(before);
  expect(transactions).toBe(1_000);
  // One percent of a core would be 6 s of these ten minutes.
  expect((user + system) / 1e6).toBeLessThan(6);
});
