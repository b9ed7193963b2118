import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAIN_FILE } from "../../packages/cli/src/testing/main-file.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

// A workflow resumes where it was whenever its server is killed: at each of its steps, and during
// many runs.

const PORT = await freePort();
const RUNS = 40;
const STEPS = 5;
const dir = mkdtempSync(join(tmpdir(), "pylon-workflows-crash-"));
const children: Bun.Subprocess[] = [];
const client = new TestClient(`http://localhost:${PORT}`, ADMIN_TOKEN);
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
const entities = [entity("Effect", { run: field.string(), n: field.int() })];
export default buildManifest({ name: "crash", version: "1.0.0", access: "public", entities });`,
  // Kills its own server before its commit, so that nothing of it may be kept.
  "functions/effect.ts": `import { internalMutation, v } from "@pylonsync/functions";
import { existsSync, writeFileSync } from "node:fs";
export default internalMutation({
  args: { run: v.string(), n: v.int(), dies: v.bool() },
  handler: async (ctx, { run, n, dies }) => {
    await ctx.db.insert("Effect", { run, n });
    const mark = ctx.env.MARKS + "/in " + run + " " + n;
    if (dies && !existsSync(mark)) {
      writeFileSync(mark, "");
      process.kill(process.pid, "SIGKILL");
      await new Promise(() => undefined);
    }
  },
});`,
  // Kills its server between any two steps, once at each place.
  "workflows/chain.ts": `import { workflow } from "@pylonsync/workflows";
import { existsSync, writeFileSync } from "node:fs";
export default workflow("chain", async (ctx, { step, runMutation, sleep }) => {
  const { steps, dies } = ctx.input;
  const die = (at) => {
    const mark = process.env.MARKS + "/at " + ctx.id + " " + at;
    if (!dies || existsSync(mark)) return;
    writeFileSync(mark, "");
    process.kill(process.pid, "SIGKILL");
  };
  const values = [];
  for (let n = 0; n < steps; n += 1) {
    die("before " + n);
    values.push(await step("value " + n, () => Math.random()));
    die("between " + n);
    await runMutation("effect", { run: ctx.id, n, dies });
    die("after " + n);
    await sleep("0.01s");
  }
  return values.length;
});`,
};
for (const folder of ["functions", "workflows", "marks"]) mkdirSync(join(dir, folder));
for (const [name, text] of Object.entries(FILES)) writeFileSync(join(dir, name), text);

async function start(): Promise<Bun.Subprocess> {
  const child = Bun.spawn([process.execPath, MAIN_FILE, "start", dir, "--port", String(PORT)], {
    env: {
      ...process.env,
      MARKS: join(dir, "marks"),
      PYLON_DB_PATH: join(dir, "crash.db"),
      PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
      PYLON_LOG_LEVEL: "error",
      PYLON_RATE_LIMIT_MAX: "0",
    },
    stdout: "ignore",
    stderr: "inherit",
  });
  children.push(child);
  await until(async () => (await isUp()) || child.exitCode !== null || child.signalCode !== null);
  return child;
}

const isUp = (): Promise<boolean> =>
  fetch(`${client.url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );

async function startRun(steps: number, dies: boolean): Promise<string> {
  const input = { steps, dies };
  const { body } = await client.request("POST", "/api/workflows/start", { name: "chain", input });
  return String(body["id"]);
}

async function effects(): Promise<string[]> {
  const { text } = await client.request("POST", "/api/query/Effect", { $limit: 1000 });
  const rows = JSON.parse(text) as { readonly run: string; readonly n: number }[];
  return rows.map(({ run, n }) => `${run} ${n}`).toSorted();
}

test("a run whose server dies at every boundary of its steps has each effect once", async () => {
  let child = await start();
  const id = await startRun(STEPS, true);
  let deaths = 0;
  for (;;) {
    await until(async () => child.signalCode !== null || (await isCompleted(id)));
    if (child.signalCode === null) break;
    deaths += 1;
    child = await start();
  }
  // Four places per round: before and between the steps, during the mutation, and after it.
  expect(deaths).toBe(4 * STEPS);
  const { body } = await client.request("GET", `/api/workflows/${id}`);
  expect(body["output"]).toBe(STEPS);
  expect(await effects()).toEqual(Array.from({ length: STEPS }, (_, n) => `${id} ${n}`));
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
}, 120_000);

async function isCompleted(id: string): Promise<boolean> {
  return client.request("GET", `/api/workflows/${id}`).then(
    ({ body }) => body["status"] === "Completed",
    () => false,
  );
}

test("many runs resume after their server is killed and stopped", async () => {
  let child = await start();
  const before = await effects();
  const ids = await Promise.all(Array.from({ length: RUNS }, () => startRun(STEPS, false)));
  for (const [signal, share] of [
    ["SIGKILL", 0.2],
    ["SIGTERM", 0.5],
    ["SIGKILL", 0.8],
  ] as const) {
    await until(async () => (await effects()).length - before.length >= RUNS * STEPS * share);
    child.kill(signal);
    await child.exited;
    child = await start();
  }
  await until(async () => (await Promise.all(ids.map(isCompleted))).every((one) => one));
  const wanted = ids.flatMap((id) => Array.from({ length: STEPS }, (_, n) => `${id} ${n}`));
  expect(await effects()).toEqual([...before, ...wanted].toSorted());
  child.kill("SIGTERM");
  await child.exited;
}, 120_000);
