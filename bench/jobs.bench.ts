// Jobs a second from their mutation to their end, and steps of workflows a second, against the bare
// writes that a queue can't do without: a row is inserted, taken and ended, each durably; and on
// Postgres against pg-boss, with as many connections. Ours calls a mutation for each job, which is
// ended in its transaction; pg-boss calls nothing. And what it costs a mutation to schedule a job,
// against the same mutation without.
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
const TOKEN = "the-admin-token-of-the-bench";

/** How many a second, by the seconds that they took. */
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

async function completed(url: string): Promise<number> {
  const stats = JSON.parse(await ask(url, "GET", "/api/jobs/stats")) as { completed: number };
  return stats.completed;
}

async function runJobs({ url }: BenchServer): Promise<void> {
  const before = await completed(url);
  for (let done = 0; done < JOBS; done += 1_000)
    await ask(url, "POST", "/api/fn/scheduleMany", { count: 1_000 });
  while ((await completed(url)) < before + JOBS) await Bun.sleep(25);
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

/** The same on Postgres, over as many connections as ours has. */
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

/** What pg-boss does of the same jobs, without its pauses between looks for work. */
interface Boss {
  /** Each job is fetched and ended for itself. */
  readonly single: () => Promise<number>;
  /** Fifty at a time are fetched and ended as one. */
  readonly batches: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

async function startBoss(url: string): Promise<Boss> {
  const boss = new PgBoss({ connectionString: url, max: CONNECTIONS });
  await boss.start();
  await boss.createQueue("later");
  const worker = async (batchSize: number): Promise<void> => {
    for (;;) {
      const jobs = await boss.fetch("later", { batchSize });
      if (jobs.length === 0) return;
      await boss.complete(
        "later",
        jobs.map(({ id }) => id),
      );
    }
  };
  const run = (workers: number, batchSize: number): Promise<number> =>
    perSecond(JOBS, async () => {
      for (let done = 0; done < JOBS; done += 1_000)
        await boss.insert(
          "later",
          Array.from({ length: 1_000 }, () => ({ data: {} })),
        );
      await Promise.all(Array.from({ length: workers }, () => worker(batchSize)));
    });
  return {
    single: () => run(CONNECTIONS, 1),
    batches: () => run(2, 50),
    stop: () => boss.stop({ graceful: false }),
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
  const steps: { value: number; baseline: number }[] = [];
  const scheduling: { value: number; baseline: number }[] = [];
  const token = await guestToken(server.url);
  const request = (name: string): string =>
    rawRequest("POST", `/api/fn/${name}`, { token, body: NOTE });
  for (let index = 0; index <= ROUNDS; index += 1) {
    const baseline = await bare();
    const round = {
      jobs: await perSecond(JOBS, () => runJobs(server)),
      steps: await perSecond(RUNS * STEPS, () => runSteps(server)),
      scheduling: await load(server.url, request("addNoteAndCallLater"), LOAD),
      plain: await load(server.url, request("addNote"), LOAD),
    };
    // The first round warms all up.
    if (index === 0) continue;
    jobs.push({ value: round.jobs, baseline });
    if (boss !== null) {
      single.push({ value: round.jobs, baseline: await boss.single() });
      batches.push({ value: round.jobs, baseline: await boss.batches() });
    }
    steps.push({ value: round.steps, baseline });
    scheduling.push({ value: round.scheduling, baseline: round.plain });
  }
  report(`jobs ${store}`, "jobs/s", jobs);
  if (boss !== null) {
    report(`jobs ${store}, pg-boss one by one`, "jobs/s", single);
    report(`jobs ${store}, pg-boss in batches`, "jobs/s", batches);
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
