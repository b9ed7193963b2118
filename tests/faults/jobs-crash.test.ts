import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAIN_FILE } from "../../packages/cli/src/testing/main-file.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

// Every scheduled job takes effect exactly once, however the server is stopped meanwhile.

const JOBS = 300;
const PORT = await freePort();
const dir = mkdtempSync(join(tmpdir(), "pylon-jobs-crash-"));
const children: Bun.Subprocess[] = [];
const client = new TestClient(`http://localhost:${PORT}`, ADMIN_TOKEN);
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

for (const folder of ["functions", "marks"]) mkdirSync(join(dir, folder));
writeFileSync(
  join(dir, "app.ts"),
  `import { buildManifest, entity, field } from "@pylonsync/sdk";
const entities = [entity("Item", { n: field.int() })];
export default buildManifest({ name: "crash", version: "1.0.0", access: "public", entities });`,
);
writeFileSync(
  join(dir, "functions", "add.ts"),
  `import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { n: v.int() }, handler: async (ctx, { n }) => {
  await ctx.db.insert("Item", { n });
  await Bun.sleep(2);
} });`,
);
writeFileSync(
  join(dir, "functions", "addAll.ts"),
  `import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { count: v.int() }, handler: async (ctx, { count }) => {
  for (let n = 0; n < count; n += 1)
    await ctx.scheduler.runAfter(0, "add", { n }, { maxRetries: 20 });
} });`,
);

// Kills its own server once at each boundary: between its writes, and during each of them.
writeFileSync(
  join(dir, "dying.ts"),
  `import { existsSync, writeFileSync } from "node:fs";
export default async function die(ctx, at) {
  const mark = ctx.env.MARKS + "/" + at;
  if (existsSync(mark)) return;
  writeFileSync(mark, "");
  process.kill(process.pid, "SIGKILL");
  await new Promise(() => undefined);
}`,
);
writeFileSync(
  join(dir, "functions", "effect.ts"),
  `import { mutation, v } from "@pylonsync/functions";
import die from "../dying.ts";
export default mutation({ args: { n: v.int() }, handler: async (ctx, { n }) => {
  await ctx.db.insert("Item", { n });
  await die(ctx, "within " + n);
} });`,
);
writeFileSync(
  join(dir, "functions", "chain.ts"),
  `import { action } from "@pylonsync/functions";
import die from "../dying.ts";
export default action({ args: {}, handler: async (ctx) => {
  for (const n of [1000, 1001]) {
    await die(ctx, "before " + n);
    await ctx.runMutation("effect", { n }, { idempotencyKey: ctx.job.id + " " + n });
    await die(ctx, "after " + n);
  }
  await ctx.scheduler.runAfter(0, "effect", { n: 1002 }, { dedupeKey: ctx.job.id, maxRetries: 20 });
} });`,
);

async function start(): Promise<Bun.Subprocess> {
  const child = Bun.spawn([process.execPath, MAIN_FILE, "start", dir, "--port", String(PORT)], {
    env: {
      ...process.env,
      MARKS: join(dir, "marks"),
      PYLON_DB_PATH: join(dir, "crash.db"),
      PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
      PYLON_LOG_LEVEL: "error",
      PYLON_RATE_LIMIT_MAX: "0",
      PYLON_FN_RATE_LIMIT_MAX: "0",
      PYLON_DRAIN_SECS: "5",
    },
    stdout: "ignore",
    stderr: "inherit",
  });
  children.push(child);
  await until(async () => {
    if (child.exitCode !== null) throw new Error("The server did not start.");
    // A resumed job may have killed it before the health check saw that it was up.
    if (child.signalCode !== null) return true;
    return fetch(`${client.url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  });
  return child;
}

const completed = async (): Promise<number> =>
  Number((await client.request("GET", "/api/jobs/stats")).body["completed"]);

test("each job takes effect once, though the server is killed and stopped meanwhile", async () => {
  let child = await start();
  expect((await client.request("POST", "/api/fn/addAll", { count: JOBS })).status).toBe(200);
  for (const [signal, after] of [
    ["SIGKILL", 20],
    ["SIGKILL", 80],
    ["SIGTERM", 140],
  ] as const) {
    await until(async () => (await completed()) >= after);
    child.kill(signal);
    await child.exited;
    child = await start();
  }
  await until(async () => (await completed()) === JOBS);
  const { text } = await client.request("POST", "/api/query/Item", { $limit: 1000 });
  const numbers = (JSON.parse(text) as { readonly n: number }[]).map(({ n }) => n);
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: JOBS }, (_, n) => n));
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
}, 60_000);

test("a job whose server dies at every boundary has each effect once", async () => {
  let child = await start();
  const before = await completed();
  const body = { name: "chain", max_retries: 20 };
  expect((await client.request("POST", "/api/jobs", body)).status).toBe(201);
  const isDone = (): Promise<boolean> =>
    completed().then(
      (count) => count === before + 2,
      () => false,
    );
  let deaths = 0;
  for (;;) {
    await until(async () => child.signalCode !== null || (await isDone()));
    if (child.signalCode === null) break;
    deaths += 1;
    child = await start();
  }
  // Before, during and after each mutation of the action, and during the one that it scheduled.
  expect(deaths).toBe(7);
  const filter = { n: { $gte: 1000 }, $order: { n: "asc" } };
  const { text } = await client.request("POST", "/api/query/Item", filter);
  const numbers = (JSON.parse(text) as { readonly n: number }[]).map(({ n }) => n);
  expect(numbers).toEqual([1000, 1001, 1002]);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
}, 60_000);
