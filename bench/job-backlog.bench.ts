// The cost of a million waiting jobs: jobs per second into and out of a queue of Postgres that has
// them, against the same queue when it is empty. Each is created in a separate transaction, as by a
// mutation; they are claimed in batches of ten, and ended together.
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { scheduledCall } from "../packages/server/src/functions/scheduler.ts";
import { JobTable } from "../packages/server/src/jobs/job-table.ts";
import { systemPlatform } from "../packages/server/src/platform.ts";
import { openStore } from "../packages/server/src/store/open-store.ts";
import type { Store } from "../packages/server/src/store/store.ts";
import { Client } from "pg";
import { report } from "./lib/report.ts";

const ROUNDS = 5;
const JOBS = 300;
const WRITERS = 5;
const TAKEN = 10;
const WAITING = Number(process.env["PYLON_BENCH_WAITING"] ?? 1_000_000);
const LEASE_MS = 30_000;

const { now, monotonic } = systemPlatform;
await using postgres = await PostgresServer.start();

interface Queue {
  readonly url: string;
  readonly store: Store;
  readonly table: JobTable;
}

async function openQueue(): Promise<Queue> {
  const url = await postgres.createDatabase();
  const store = await openStore(
    { kind: "postgres", url, poolMax: WRITERS, ca: null },
    { startTimeoutMs: 10_000, onState: () => undefined },
  );
  return { url, store, table: new JobTable(store, systemPlatform) };
}

/** The number per second. */
async function perSecond(work: () => Promise<void>): Promise<number> {
  const started = monotonic();
  await work();
  return (JOBS * 1000) / (monotonic() - started);
}

const add = ({ store, table }: Queue): Promise<string> =>
  store.transact((tx) => table.add(tx, scheduledCall(now, "later", 0)));

async function enqueue(queue: Queue): Promise<void> {
  const write = async (): Promise<void> => {
    for (let index = 0; index < JOBS / WRITERS; index += 1) await add(queue);
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
}

async function takeAndEnd({ table }: Queue): Promise<void> {
  for (let done = 0; done < JOBS; done += TAKEN) {
    const jobs = await table.take(TAKEN, () => LEASE_MS);
    await table.finishAll(jobs.map((job) => ({ job, outcome: { kind: "completed" } as const })));
  }
}

/** Inserts waiting jobs, as copies of one: half of them ready, half for later. */
async function fill(queue: Queue): Promise<void> {
  const client = new Client({ connectionString: queue.url });
  await client.connect();
  await add(queue);
  const { rows } = await client.query<{ column_name: string }>(
    "SELECT column_name FROM information_schema.columns WHERE table_name = '_pylon_jobs'",
  );
  const columns = rows.map(({ column_name: name }) => `"${name}"`);
  const values = columns.map((name) => {
    if (name === '"id"') return "'waiting' || n";
    if (name === '"readyKey"') return `CASE WHEN n % 2 = 0 THEN "readyKey" || n END`;
    if (name === '"dueAt"') return `CASE WHEN n % 2 = 1 THEN now() + interval '1 day' END`;
    return name;
  });
  await client.query(
    `INSERT INTO "_pylon_jobs" (${columns.join(", ")})
       SELECT ${values.join(", ")} FROM "_pylon_jobs", generate_series(1, ${WAITING}) AS n
       WHERE status = 'pending'`,
  );
  await client.query(`ANALYZE "_pylon_jobs"`);
  await client.query("CHECKPOINT");
  await client.end();
}

const [full, empty] = [await openQueue(), await openQueue()];
await fill(full);
for (const [what, work] of [
  ["enqueue", enqueue],
  ["take and end", takeAndEnd],
] as const) {
  const rounds: { value: number; baseline: number }[] = [];
  for (let index = 0; index <= ROUNDS; index += 1) {
    // The claimed jobs were created before.
    if (work === takeAndEnd) for (const queue of [full, empty]) await enqueue(queue);
    const value = await perSecond(() => work(full));
    const baseline = await perSecond(() => work(empty));
    // The first round warms everything up.
    if (index > 0) rounds.push({ value, baseline });
    if (work === enqueue) await takeAndEnd(empty);
  }
  report(`${what} among ${WAITING} waiting jobs`, "jobs/s", rounds);
}
for (const { store } of [full, empty]) await store.close();
