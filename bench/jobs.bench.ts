// Jobs per second from their mutation to their end, and steps of workflows per second, against the
// minimal writes of a queue: a row is inserted, claimed and ended, each durably; and on Postgres
// against pg-boss, with as many connections. Ours calls a mutation for each job, and ends it in
// that transaction; pg-boss calls nothing, and then a handler that writes a row, like a mutation of
// ours. And the cost of scheduling a job in a mutation, against the same mutation without.
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool } from "pg";
import { PgBoss } from "pg-boss";
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { NOTE } from "./lib/compare.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";

const ROUNDS = 3;
const JOBS = 2_000;
const RUNS = 4;
const STEPS = 500;
const CONNECTIONS = 10;
const LOAD = { connections: 16, seconds: 2 };
const QUEUE = "bench";
const TOKEN = "the-admin-token-of-the-bench";

/** The number per second, given the duration. */
async function perSecond(count: number, work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (count * 1000) / (performance.now() - started);
}

async function ask(url: string, method: string, path: string, body?: unknown): Promise<string> {
  const response = await fetch(url + path, {
    method,
    headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.text();
}

/** Jobs that wait for a later day do not count. */
async function hasWork(url: string): Promise<boolean> {
  for (const status of ["pending", "running"]) {
    const path = `/api/jobs?queue=${QUEUE}&status=${status}&limit=1`;
    if ((await ask(url, "GET", path)) !== "[]") return true;
  }
  return false;
}

/**
 * The last job is polled by its id, and the list only after it has ended: on Postgres a list of the
 * remaining jobs reads past all recently ended ones, which was a quarter of the measured work.
 */
async function runJobs({ url }: BenchServer, name: "later" | "laterNote"): Promise<void> {
  let last = "";
  for (let done = 0; done < JOBS; done += 1_000)
    last = JSON.parse(
      await ask(url, "POST", "/api/fn/scheduleMany", { count: 1_000, name, queue: QUEUE }),
    ) as string;
  while (!(await ask(url, "GET", `/api/jobs/${last}`)).includes('"completed"')) await Bun.sleep(10);
  while (await hasWork(url)) await Bun.sleep(10);
}

async function runSteps({ url }: BenchServer): Promise<void> {
  const start = { name: "steps", input: { count: STEPS } };
  const ids = await Promise.all(
    Array.from({ length: RUNS }, async () => {
      const { id } = JSON.parse(await ask(url, "POST", "/api/workflows/start", start)) as {
        id: string;
      };
      return id;
    }),
  );
  for (const id of ids)
    while (!(await ask(url, "GET", `/api/workflows/${id}`)).includes('"status":"Completed"'))
      await Bun.sleep(20);
}

/** The three writes of a job on SQLite, each waiting for the disk as ours do. */
async function bareSqlite(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), "pylon-bench-"));
  const db = new Database(join(dir, "bare.db"), { create: true });
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = FULL");
  db.run("CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, args TEXT)");
  const insert = db.prepare("INSERT INTO jobs VALUES (?, 'pending', '{}')");
  const update = db.prepare("UPDATE jobs SET status = ? WHERE id = ?");
  const rate = await perSecond(JOBS, async () => {
    for (let index = 0; index < JOBS; index += 1) {
      insert.run(String(index));
      update.run("running", String(index));
      update.run("completed", String(index));
    }
  });
  db.close();
  rmSync(dir, { recursive: true, force: true });
  return rate;
}

/** The same on Postgres, with as many connections as ours. */
async function barePostgres(url: string): Promise<number> {
  const pool = new Pool({ connectionString: url, max: CONNECTIONS });
  await pool.query("CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, args TEXT)");
  let next = 0;
  const rate = await perSecond(JOBS, async () => {
    const worker = async (): Promise<void> => {
      for (let id = next++; id < JOBS; id = next++) {
        await pool.query("INSERT INTO jobs VALUES ($1, 'pending', '{}')", [id]);
        await pool.query("UPDATE jobs SET status = 'running' WHERE id = $1", [id]);
        await pool.query("UPDATE jobs SET status = 'completed' WHERE id = $1", [id]);
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  });
  await pool.end();
  return rate;
}

/** pg-boss with the same jobs, without its pauses between polls. */
interface Boss {
  /** Each job is fetched and ended separately. */
  readonly single: () => Promise<number>;
  /** Fifty at a time are fetched and ended together. */
  readonly batches: () => Promise<number>;
  /** Like `batches`, and each job writes a row. */
  readonly writing: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

async function startBoss(url: string): Promise<Boss> {
  const boss = new PgBoss({ connectionString: url, max: CONNECTIONS });
  await boss.start();
  await boss.createQueue("later");
  const pool = new Pool({ connectionString: url, max: CONNECTIONS });
  await pool.query("CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT)");
  const worker = async (batchSize: number, writes: boolean): Promise<void> => {
    for (;;) {
      const jobs = await boss.fetch("later", { batchSize });
      if (jobs.length === 0) return;
      if (writes)
        await Promise.all(
          jobs.map(({ id }) => pool.query("INSERT INTO notes VALUES ($1, 'later')", [id])),
        );
      await boss.complete(
        "later",
        jobs.map(({ id }) => id),
      );
    }
  };
  const run = (workers: number, batchSize: number, writes = false): Promise<number> =>
    perSecond(JOBS, async () => {
      for (let done = 0; done < JOBS; done += 1_000)
        await boss.insert(
          "later",
          Array.from({ length: 1_000 }, () => ({ data: {} })),
        );
      await Promise.all(Array.from({ length: workers }, () => worker(batchSize, writes)));
    });
  return {
    single: () => run(CONNECTIONS, 1),
    batches: () => run(2, 50),
    writing: () => run(2, 50, true),
    stop: async () => {
      await boss.stop({ graceful: false });
      await pool.end();
    },
  };
}

async function compare(
  store: string,
  server: BenchServer,
  bare: () => Promise<number>,
  boss: Boss | null,
): Promise<void> {
  const jobs: { value: number; baseline: number }[] = [];
  const single: { value: number; baseline: number }[] = [];
  const batches: { value: number; baseline: number }[] = [];
  const writing: { value: number; baseline: number }[] = [];
  const steps: { value: number; baseline: number }[] = [];
  const scheduling: { value: number; baseline: number }[] = [];
  const token = await guestToken(server.url);
  const request = (name: string): string =>
    rawRequest("POST", `/api/fn/${name}`, { token, body: NOTE });
  for (let index = 0; index <= ROUNDS; index += 1) {
    const baseline = await bare();
    const round = {
      jobs: await perSecond(JOBS, () => runJobs(server, "later")),
      writing: await perSecond(JOBS, () => runJobs(server, "laterNote")),
      steps: await perSecond(RUNS * STEPS, () => runSteps(server)),
      scheduling: await load(server.url, request("addNoteAndCallLater"), LOAD),
      plain: await load(server.url, request("addNote"), LOAD),
    };
    // The first round warms everything up.
    if (index === 0) continue;
    jobs.push({ value: round.jobs, baseline });
    if (boss !== null) {
      single.push({ value: round.jobs, baseline: await boss.single() });
      batches.push({ value: round.jobs, baseline: await boss.batches() });
      writing.push({ value: round.writing, baseline: await boss.writing() });
    }
    steps.push({ value: round.steps, baseline });
    scheduling.push({ value: round.scheduling, baseline: round.plain });
  }
  report(`jobs ${store}`, "jobs/s", jobs);
  if (boss !== null) {
    report(`jobs ${store}, pg-boss one by one`, "jobs/s", single);
    report(`jobs ${store}, pg-boss in batches`, "jobs/s", batches);
    report(`jobs ${store} that write, pg-boss in batches`, "jobs/s", writing);
    await boss.stop();
  }
  report(`workflow steps ${store}`, "steps/s", steps);
  report(`schedule in a mutation ${store}`, "requests/s", scheduling);
  await server.stop();
}

const variables = { PYLON_ADMIN_TOKEN: TOKEN };
await compare("sqlite", await startServer("pylon", "", variables), bareSqlite, null);
await using postgres = await PostgresServer.start();
const server = await startServer("pylon", await postgres.createDatabase(), variables);
const boss = await startBoss(await postgres.createDatabase());
const bare = async (): Promise<number> => barePostgres(await postgres.createDatabase());
await compare("postgres", server, bare, boss);
