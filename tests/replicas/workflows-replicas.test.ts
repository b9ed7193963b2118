import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { TestClient, until } from "../support/client.ts";
import { Cluster } from "../support/cluster.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

// A run whose server freezes between its steps resumes elsewhere, and what the frozen server does
// afterwards no longer counts.

const STEPS = 3;
const dir = mkdtempSync(join(tmpdir(), "pylon-workflows-replicas-"));

const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
const entities = [entity("Effect", { n: field.int() })];
export default buildManifest({ name: "freeze", version: "1.0.0", access: "public", entities });`,
  "functions/effect.ts": `import { internalMutation, v } from "@pylonsync/functions";
export default internalMutation({
  args: { n: v.int() },
  handler: (ctx, { n }) => ctx.db.insert("Effect", { n }),
});`,
  // Freezes its own server once at each boundary.
  "workflows/chain.ts": `import { workflow } from "@pylonsync/workflows";
import { existsSync, renameSync, writeFileSync } from "node:fs";
export default workflow("chain", async (ctx, { step, runMutation }) => {
  const freeze = (at) => {
    const mark = process.env.MARKS + "/" + at;
    if (existsSync(mark)) return;
    writeFileSync(mark + ".new", String(process.pid));
    renameSync(mark + ".new", mark);
    process.kill(process.pid, "SIGSTOP");
  };
  for (let n = 0; n < ctx.input.steps; n += 1) {
    freeze(n + " before");
    await step("in " + n, () => freeze(n + " within"));
    freeze(n + " between");
    await runMutation("effect", { n });
    freeze(n + " after");
  }
  return "done";
});`,
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
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await database.end();
  rmSync(dir, { recursive: true, force: true });
});

const marks = (): string[] => readdirSync(dir).filter((name) => !name.endsWith(".new"));

async function statusOf(id: string): Promise<string> {
  const { rows } = await database.query<{ status: string }>(
    `SELECT status FROM "_pylon_workflow_runs" WHERE id = $1`,
    [id],
  );
  return rows[0]?.status ?? "";
}

test("a run whose server freezes at every boundary of its steps has each effect once", async () => {
  const input = { steps: STEPS };
  const { body } = await client.request("POST", "/api/workflows/start", { name: "chain", input });
  const id = String(body["id"]);
  const thawed = new Set<string>();
  let frozen: { readonly mark: string; readonly pid: number } | null = null;
  const resume = (): void => {
    if (frozen !== null) process.kill(frozen.pid, "SIGCONT");
    frozen = null;
  };
  try {
    for (;;) {
      const next = (): string | undefined => marks().find((mark) => !thawed.has(mark));
      await until(async () => next() !== undefined || (await statusOf(id)) === "completed", 60_000);
      // The previous server is thawed while another one has its run, and may write nothing of it.
      resume();
      const mark = next();
      if (mark === undefined) break;
      thawed.add(mark);
      frozen = { mark, pid: Number(readFileSync(join(dir, mark), "utf8")) };
      // Ends its lease, as if time had passed.
      await database.query(`UPDATE "_pylon_jobs" SET "dueAt" = now() WHERE status = 'running'`);
    }
  } finally {
    resume();
  }
  // Before, during and after each step, and after each mutation.
  expect(thawed.size).toBe(4 * STEPS);
  expect(existsSync(join(dir, "0 before"))).toBe(true);
  const { rows } = await database.query<{ n: string }>(`SELECT n FROM "Effect" ORDER BY n`);
  expect(rows.map(({ n }) => Number(n))).toEqual(Array.from({ length: STEPS }, (_, n) => n));
  const steps = await database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM "_pylon_workflow_steps" WHERE status = 'completed'`,
  );
  expect(steps.rows[0]?.count).toBe(2 * STEPS);
}, 150_000);
