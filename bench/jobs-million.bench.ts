// What a job costs in a queue where a million others wait, half of them for their time and half of
// them ready, of a hundred tenants, beside the same in an empty queue: it is made, and it is taken
// and ended. Each a transaction.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JobTable } from "../packages/server/src/jobs/job-table.ts";
import { systemPlatform } from "../packages/server/src/platform.ts";
import { openStore } from "../packages/server/src/store/open-store.ts";
import type { Store } from "../packages/server/src/store/store.ts";
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { report } from "./lib/report.ts";

const WAITING = 1_000_000;
const TENANTS = 100;
const ROUNDS = 5;
const JOBS = 100;
const CHUNK = 5_000;
const DAY_MS = 24 * 60 * 60_000;

function callOf(dueAt: number, key: string) {
  return {
    name: "work",
    args: "{}",
    queue: "functions",
    priority: "normal" as const,
    dueAt,
    maxAttempts: 4,
    timeoutMs: null,
    key,
    dedupeKey: null,
  };
}

async function perSecond(work: (index: number) => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (let index = 0; index < JOBS; index += 1) await work(index);
  return (JOBS * 1000) / (performance.now() - started);
}

interface Rates {
  readonly make: number;
  readonly run: number;
}

async function measure(store: Store, table: JobTable): Promise<Rates> {
  const make = await perSecond((index) =>
    store.transact((tx) => table.add(tx, callOf(Date.now(), `tenant ${index % TENANTS}`))),
  );
  const run = await perSecond(async () => {
    await table.settleDue();
    const jobs = await table.take(1, () => DAY_MS);
    await table.finishAll(jobs.map((job) => ({ job, outcome: { kind: "completed" } })));
  });
  return { make, run };
}

async function fill(store: Store, table: JobTable): Promise<void> {
  for (let made = 0; made < WAITING; made += CHUNK) {
    const dueAt = Date.now() + (made % (2 * CHUNK) === 0 ? 0 : DAY_MS);
    const jobs = Array.from({ length: CHUNK }, (_, index) => ({
      id: table.newId(),
      call: callOf(dueAt, `tenant ${index % TENANTS}`),
    }));
    await store.transact((tx) => table.addMany(tx, jobs));
  }
}

async function rounds(store: Store, table: JobTable): Promise<Rates[]> {
  const measured: Rates[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) measured.push(await measure(store, table));
  // The first round warms all up.
  return measured.slice(1);
}

async function compare(name: string, store: Store): Promise<void> {
  const table = new JobTable(store, systemPlatform);
  const empty = await rounds(store, table);
  await fill(store, table);
  const full = await rounds(store, table);
  for (const what of ["make", "run"] as const)
    report(
      `${what} a job among a million ${name}`,
      "jobs/s",
      full.map((rates, index) => ({ value: rates[what], baseline: empty[index]?.[what] ?? 0 })),
    );
  await store.close();
}

const options = { startTimeoutMs: 0, onState: () => undefined };
const dir = mkdtempSync(join(tmpdir(), "pylon-bench-"));
const path = join(dir, "jobs.db");
await compare("sqlite", await openStore({ kind: "sqlite", path, isTemporary: true }, options));
rmSync(dir, { recursive: true, force: true });
await using postgres = await PostgresServer.start();
const url = await postgres.createDatabase();
await compare(
  "postgres",
  await openStore({ kind: "postgres", url, poolMax: 10, ca: null }, options),
);
