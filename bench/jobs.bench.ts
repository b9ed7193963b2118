// Jobs per second from the mutation that schedules them to their end, and workflow steps per
// second. Baselines, each in the same round:
// - the writes that no queue can avoid: a row is inserted, taken and ended, each durably;
// - pg-boss on Postgres, with as many connections and the same settings of the database. Its
//   workers fetch and complete in a loop, without the pauses of `work()`. Each job of Pylon calls a
//   mutation, and is completed in the transaction of its writes. The jobs of pg-boss call nothing;
//   where both write a row, those of pg-boss do so in the transaction that completes the batch, so
//   that each effect happens once there, too.
// And what scheduling a job costs a mutation, against the same mutation without it.
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
const JOBS = 4_000;
/** One by one, pg-boss takes long. */
const SINGLE_JOBS = 1_000;
const RUNS = 4;
const STEPS = 500;
const CONNECTIONS = 10;
const LOAD = { connections: 16, seconds: 2 };
const QUEUE = "bench";
const TOKEN = "the-admin-token-of-the-bench";

/** Returns the rate of work per second. @param count the units that `work` does */
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

/** Jobs that are due on a later day do not count. */
async function hasWork(url: string): Promise<boolean> {
  for (const status of ["pending", "running"]) {
    const path = `/api/jobs?queue=${QUEUE}&status=${status}&limit=1`;
    if ((await ask(url, "GET", path)) !== "[]") return true;
  }
  return false;
}

/**
 * Polls the last job by its id, and the list only after that job has ended: on Postgres a list of
 * the remaining jobs reads past all that have just ended, which was a quarter of the work measured.
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

/** The three writes of a job on SQLite; each waits for the disk, as those of Pylon do. */
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

/** The same on Postgres, over as many connections as Pylon has. */
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

/** The jobs per second of pg-boss. */
interface Boss {
  /** Each job is fetched and completed on its own. */
  readonly single: () => Promise<number>;
  /** Fifty jobs at a time are fetched and completed together. */
  readonly batches: () => Promise<number>;
  /** As `batches`; each job inserts a row, in the transaction that completes the batch. */
  readonly writing: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

async function startBoss(url: string): Promise<Boss> {
  const boss = new PgBoss({ connectionString: url, max: CONNECTIONS });
  await boss.start();
  await boss.createQueue("later");
  const pool = new Pool({ connectionString: url, max: CONNECTIONS });
  await pool.query("CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT)");
  const writeAndComplete = async (ids: string[]): Promise<void> => {
    const client = await pool.connect();
    await client.query("BEGIN");
    for (const id of ids) await client.query("INSERT INTO notes VALUES ($1, 'later')", [id]);
    const db = {
      executeSql: (text: string, values?: unknown[]) => client.query(text, values),
    };
    await boss.complete("later", ids, null, { db });
    await client.query("COMMIT");
    client.release();
  };
  const worker = async (batchSize: number, writes: boolean): Promise<void> => {
    for (;;) {
      const jobs = await boss.fetch("later", { batchSize });
      if (jobs.length === 0) return;
      const ids = jobs.map(({ id }) => id);
      if (writes) await writeAndComplete(ids);
      else await boss.complete("later", ids);
    }
  };
  const run = (count: number, workers: number, batchSize: number, writes = false) =>
    perSecond(count, async () => {
      for (let done = 0; done < count; done += 1_000)
        await boss.insert(
          "later",
          Array.from({ length: 1_000 }, () => ({ data: {} })),
        );
      await Promise.all(Array.from({ length: workers }, () => worker(batchSize, writes)));
    });
  return {
    single: () => run(SINGLE_JOBS, CONNECTIONS, 1),
    batches: () => run(JOBS, 2, 50),
    writing: () => run(JOBS, 2, 50, true),
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
  boss: Boss,
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
    const ofBoss = {
      single: await boss.single(),
      batches: await boss.batches(),
      writing: await boss.writing(),
    };
    // The first round warms everything up.
    if (index === 0) continue;
    jobs.push({ value: round.jobs, baseline });
    single.push({ value: round.jobs, baseline: ofBoss.single });
    batches.push({ value: round.jobs, baseline: ofBoss.batches });
    writing.push({ value: round.writing, baseline: ofBoss.writing });
    steps.push({ value: round.steps, baseline });
    scheduling.push({ value: round.scheduling, baseline: round.plain });
  }
  report(`jobs ${store}`, "jobs/s", jobs);
  report(`jobs ${store}, pg-boss one by one`, "jobs/s", single);
  report(`jobs ${store}, pg-boss in batches`, "jobs/s", batches);
  report(`jobs ${store} that write, pg-boss in batches`, "jobs/s", writing);
  report(`workflow steps ${store}`, "steps/s", steps);
  report(`schedule in a mutation ${store}`, "requests/s", scheduling);
  await server.stop();
}

const variables = { PYLON_ADMIN_TOKEN: TOKEN };
await using postgres = await PostgresServer.start();
const boss = await startBoss(await postgres.createDatabase());
await compare("sqlite", await startServer("pylon", "", variables), bareSqlite, boss);
const server = await startServer("pylon", await postgres.createDatabase(), variables);
const bare = async (): Promise<number> => barePostgres(await postgres.createDatabase());
await compare("postgres", server, bare, boss);
await boss.stop();
