import { LIVE_JOB } from "@pylonsync/protocol";
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { TestClient, until } from "../support/client.ts";
import { Cluster } from "../support/cluster.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

// Three replicas run the jobs of one database. PYLON_TEST_JOBS sets their number.

const JOBS = Number(process.env["PYLON_TEST_JOBS"] ?? 10_000);
const dir = mkdtempSync(join(tmpdir(), "pylon-jobs-replicas-"));

const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "jobs", version: "1.0.0", access: "public",
  entities: [entity("Item", { n: field.int() })] });
`,
  "functions/add.ts": `import { mutation, v } from "@pylonsync/functions";
export default mutation({
  args: { n: v.int(), ms: v.optional(v.int()) },
  handler: async (ctx, { n, ms }) => {
    await ctx.db.insert("Item", { n });
    if (ms !== undefined) await Bun.sleep(ms);
  },
});
`,
  "functions/addAll.ts": `import { mutation, v } from "@pylonsync/functions";
export default mutation({
  args: { from: v.int(), count: v.int(), ms: v.optional(v.int()) },
  handler: async (ctx, { from, count, ms }) => {
    const more = ms === undefined ? {} : { ms };
    for (let n = from; n < from + count; n += 1)
      await ctx.scheduler.runAfter(0, "add", { n, ...more }, { maxRetries: 50 });
  },
});
`,
  "functions/follow.ts": `import { mutation } from "@pylonsync/functions";
export default mutation({ args: {}, handler: (ctx) => ctx.scheduler.runAfter(0, "steps") });
`,
  "functions/steps.ts": `import { action } from "@pylonsync/functions";
import { existsSync } from "node:fs";
export default action({
  args: {},
  handler: async (ctx) => {
    for (const at of [1, 2, 3]) {
      await ctx.job.setProgress(at / 4, "step " + at);
      while (!existsSync(ctx.env.MARKS + "/step " + at)) await Bun.sleep(10);
    }
  },
});
`,
  // Records which process runs it, waits for a file, and then reports its progress.
  "functions/waits.ts": `import { action } from "@pylonsync/functions";
import { existsSync, renameSync, writeFileSync } from "node:fs";
export default action({
  args: {},
  handler: async (ctx) => {
    const mark = ctx.env.MARKS + "/attempt " + ctx.job.attempt;
    writeFileSync(mark + ".new", String(process.pid));
    renameSync(mark + ".new", mark);
    while (!existsSync(ctx.env.MARKS + "/go on")) await Bun.sleep(10);
    try {
      await ctx.job.setProgress(1);
      await ctx.runMutation("add", { n: ctx.job.attempt });
    } catch (error) {
      writeFileSync(mark + " failed", String(error));
      throw error;
    }
  },
});
`,
  // Freezes its own server once at each boundary: outside of its writes, and in a transaction.
  "freezing.ts": `import { existsSync, renameSync, writeFileSync } from "node:fs";
export default function freeze(ctx, at) {
  const mark = ctx.env.MARKS + "/freeze " + at;
  if (existsSync(mark)) return;
  writeFileSync(mark + ".new", String(process.pid));
  renameSync(mark + ".new", mark);
  process.kill(process.pid, "SIGSTOP");
}
`,
  "functions/chain.ts": `import { action } from "@pylonsync/functions";
import { writeFileSync } from "node:fs";
import freeze from "../freezing.ts";
export default action({
  args: {},
  handler: async (ctx) => {
    try {
      for (const n of [0, 1]) {
        freeze(ctx, "before " + n);
        await ctx.runMutation("add", { n }, { idempotencyKey: ctx.job.id + " " + n });
        freeze(ctx, "after " + n);
      }
    } finally {
      writeFileSync(ctx.env.MARKS + "/ended " + ctx.job.attempt, "");
    }
  },
});
`,
  "functions/lone.ts": `import { mutation } from "@pylonsync/functions";
import freeze from "../freezing.ts";
export default mutation({
  args: {},
  handler: async (ctx) => {
    freeze(ctx, "before the write");
    await ctx.db.insert("Item", { n: 10 });
    freeze(ctx, "after the write");
  },
});
`,
};

let cluster: Cluster;
let database: Client;
let client: TestClient;
beforeAll(async () => {
  const url = await createDatabase(sharedPostgresUrl());
  database = new Client({ connectionString: url });
  await database.connect();
  cluster = await Cluster.start(FILES, { DATABASE_URL: url, MARKS: dir });
  client = new TestClient(cluster.replicas[0]?.url ?? "", ADMIN_TOKEN);
}, 60_000);
beforeEach(() => database.query(`DELETE FROM "_pylon_jobs"; DELETE FROM "Item"`));
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await database.end();
  rmSync(dir, { recursive: true, force: true });
});

async function count(what: string): Promise<number> {
  const { rows } = await database.query<{ count: number }>(`SELECT count(*)::int AS count ${what}`);
  return rows[0]?.count ?? 0;
}

const completed = (): Promise<number> => count(`FROM "_pylon_jobs" WHERE status = 'completed'`);

/** Ends all leases, as if time had passed: a runner that holds one loses its job. */
async function expireLeases(): Promise<void> {
  await database.query(`UPDATE "_pylon_jobs" SET "dueAt" = now() WHERE status = 'running'`);
}

async function schedule(jobs: number, ms?: number): Promise<void> {
  for (let from = 0; from < jobs; from += 500) {
    const body = { from, count: Math.min(500, jobs - from), ...(ms === undefined ? {} : { ms }) };
    expect((await client.request("POST", "/api/fn/addAll", body)).status).toBe(200);
  }
}

/** Checks the writes of the jobs: none is missing, and none is there twice. */
async function expectOnce(jobs: number): Promise<void> {
  expect(await count(`FROM "Item"`)).toBe(jobs);
  expect(await count(`FROM (SELECT DISTINCT n FROM "Item") AS t`)).toBe(jobs);
  expect(await completed()).toBe(jobs);
}

test("three replicas run each job once, although leases expire and one is killed", async () => {
  const [, , third] = cluster.replicas;
  await schedule(JOBS);
  await until(async () => (await completed()) > JOBS / 5);
  await expireLeases();
  await until(async () => (await completed()) > (JOBS * 2) / 5);
  await third?.stop("SIGKILL");
  await expireLeases();
  await until(async () => (await completed()) === JOBS, 120_000);
  await expectOnce(JOBS);
  await third?.start();
}, 180_000);

test("a replica that freezes loses its job, and its late completion is rejected", async () => {
  const mark = (attempt: number, what = ""): string => join(dir, `attempt ${attempt}${what}`);
  const job = await client.request("POST", "/api/jobs", { name: "waits" });
  await until(() => existsSync(mark(1)));
  const frozen = Number(readFileSync(mark(1), "utf8"));
  process.kill(frozen, "SIGSTOP");
  try {
    await expireLeases();
    await until(() => existsSync(mark(2)));
    expect(readFileSync(mark(2), "utf8")).not.toBe(String(frozen));
  } finally {
    process.kill(frozen, "SIGCONT");
  }
  writeFileSync(join(dir, "go on"), "");
  await until(async () => (await completed()) === 1);
  await until(() => existsSync(mark(1, " failed")));
  // The first attempt has written nothing; the second one has, and has completed the job.
  const { rows } = await database.query(`SELECT n FROM "Item"`);
  expect(rows).toEqual([{ n: 2 }].map(({ n }) => ({ n: String(n) })));
  const { body } = await client.request("GET", `/api/jobs/${String(job.body["id"])}`);
  expect(body).toMatchObject({ status: "completed", retry_count: 1, error: null });
}, 60_000);

/** The servers that a job has frozen, by the names of their marks. */
function frozenBy(): string[] {
  return readdirSync(dir).filter((name) => /^freeze [^.]*$/.test(name));
}

/**
 * Runs a job that freezes its server repeatedly. Each server is thawed when another one has its
 * job. @returns the number of freezes
 */
async function runFreezing(name: string): Promise<number> {
  const thawed = new Set(frozenBy());
  const before = thawed.size;
  const body = { name, max_retries: 20 };
  expect((await client.request("POST", "/api/jobs", body)).status).toBe(201);
  let frozen: number | null = null;
  const resume = (): void => {
    if (frozen !== null) process.kill(frozen, "SIGCONT");
    frozen = null;
  };
  try {
    for (;;) {
      const next = (): string | undefined => frozenBy().find((mark) => !thawed.has(mark));
      await until(async () => next() !== undefined || (await completed()) === 1, 60_000);
      resume();
      const mark = next();
      if (mark === undefined) return thawed.size - before;
      thawed.add(mark);
      frozen = Number(readFileSync(join(dir, mark), "utf8"));
      await expireLeases();
    }
  } finally {
    resume();
  }
}

async function itemsInOrder(): Promise<number[]> {
  const { rows } = await database.query<{ n: string }>(`SELECT n FROM "Item" ORDER BY n`);
  return rows.map(({ n }) => Number(n));
}

/** The number of attempts on all replicas that lost their job. */
async function lostAttempts(): Promise<number> {
  const texts = await Promise.all(
    cluster.replicas.map(({ url }) => new TestClient(url, ADMIN_TOKEN).request("GET", "/metrics")),
  );
  const pattern = /pylon_job_duration_seconds_count\{queue="default",outcome="lost"\} (\d+)/;
  return texts.reduce((sum, { text }) => sum + Number(pattern.exec(text)?.[1] ?? 0), 0);
}

test("a job whose server freezes at every boundary has each effect once", async () => {
  expect(await runFreezing("chain")).toBe(4);
  // All frozen attempts have ended, and have written nothing more.
  const ended = (): number => readdirSync(dir).filter((mark) => mark.startsWith("ended")).length;
  const { rows } = await database.query<{ attempts: number }>(
    `SELECT attempts::int AS attempts FROM "_pylon_jobs"`,
  );
  await until(() => ended() === rows[0]?.attempts);
  expect(await itemsInOrder()).toEqual([0, 1]);
  expect(await completed()).toBe(1);
}, 60_000);

test("a mutation that is frozen between its writes keeps none of them", async () => {
  const lost = await lostAttempts();
  const freezes = await runFreezing("lone");
  expect(freezes).toBe(2);
  await until(async () => (await lostAttempts()) === lost + freezes);
  expect(await itemsInOrder()).toEqual([10]);
}, 60_000);

test("a stopping replica loses no job, and no job runs twice", async () => {
  const [, second] = cluster.replicas;
  await schedule(400, 8);
  await until(async () => (await completed()) > 40);
  expect(await second?.stop("SIGTERM")).toBe(0);
  const left = 400 - (await completed());
  expect(left).toBeGreaterThan(0);
  expect(await count(`FROM "_pylon_jobs" WHERE attempts > 1`)).toBe(0);
  await until(async () => (await completed()) === 400, 60_000);
  await expectOnce(400);
  expect(await count(`FROM "_pylon_jobs" WHERE attempts > 1`)).toBe(0);
  await second?.start();
}, 90_000);

test("a job can be followed on each replica, whichever runs it", async () => {
  const ann = await TestClient.guest(client.url);
  const { text } = await ann.request("POST", "/api/fn/follow", {});
  const id: unknown = JSON.parse(text);
  const sockets = await Promise.all(
    cluster.replicas.map(({ url }) => QuerySocket.open(new TestClient(url, ann.token))),
  );
  const followed = sockets.map((socket) => ({ socket, sub: socket.call(LIVE_JOB, { id }) }));
  const allAre = (state: object): Promise<void> =>
    until(() =>
      followed.every(({ socket, sub }) => Bun.deepMatch(state, socket.outcomes(sub).at(-1) ?? {})),
    );
  for (const at of [1, 2, 3]) {
    await allAre({ status: "running", progress: { fraction: at / 4, note: `step ${at}` } });
    writeFileSync(join(dir, `step ${at}`), "");
  }
  await allAre({ status: "completed" });
  for (const { socket } of sockets) socket.close();
}, 60_000);
