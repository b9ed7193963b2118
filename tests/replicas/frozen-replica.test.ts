import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "pg";
import { until } from "../support/client.ts";
import { Cluster } from "../support/cluster.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

const CALLERS = 14;
const HELD = `query LIKE 'UPDATE%' AND state = 'idle in transaction'`;

const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "bank", version: "1.0.0", access: "public",
  entities: [entity("Account", { cents: field.int() })] });
`,
  "functions/deposit.ts": `import { existsSync } from "node:fs";
import { mutation, v } from "@pylonsync/functions";
export default mutation({
  args: { id: v.string(), until: v.optional(v.string()) },
  async handler(ctx, { id, until }) {
    const account = await ctx.db.get("Account", id);
    await ctx.db.update("Account", id, { cents: Number(account?.cents) + 1 });
    while (until !== undefined && !existsSync(until))
      await new Promise((resolve) => setTimeout(resolve, 20));
  },
});
`,
};

let cluster: Cluster;
let database: Client;
beforeAll(async () => {
  const url = await createDatabase(sharedPostgresUrl());
  database = new Client({ connectionString: url });
  await database.connect();
  cluster = await Cluster.start(FILES, { DATABASE_URL: url });
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await database.end();
});

function request(replica: number, method: string, path: string, body?: unknown): Promise<Response> {
  const url = `${cluster.replicas[replica]?.url ?? ""}${path}`;
  return fetch(url, {
    method,
    headers: { "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** @param until the file that ends the mutation; without one it ends immediately */
function deposit(replica: number, id: string, until?: string): Promise<Response> {
  return request(replica, "POST", "/api/fn/deposit", { id, until });
}

async function newAccount(): Promise<string> {
  const answer = await request(1, "POST", "/api/entities/Account", { cents: 0 });
  return String(((await answer.json()) as { id: unknown }).id);
}

async function backends(condition: string): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() " +
      `AND ${condition}`,
  );
  return rows[0]?.count ?? 0;
}

test("F1: a replica that freezes in a mutation delays its row's writers only briefly", async () => {
  const [hot, cold] = [await newAccount(), await newAccount()];
  const release = join(mkdtempSync(join(tmpdir(), "pylon-release-")), "now");
  const lost = deposit(0, hot, release).catch(() => null);
  await until(async () => (await backends(HELD)) > 0);
  cluster.replicas[0]?.signal("SIGSTOP");
  let answered = 0;
  const callers = Array.from({ length: CALLERS }, async () => {
    const { status } = await deposit(1, hot);
    answered += 1;
    return status;
  });
  for (let round = 0; round < 5; round += 1) {
    const answers = await Promise.all([
      request(1, "GET", `/api/entities/Account/${cold}`),
      request(1, "GET", `/api/entities/Account/${hot}`),
      request(1, "POST", "/api/query/Account", {}),
      request(1, "GET", "/readyz"),
      deposit(1, cold),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  }
  // While the row is locked, all mutations that wait for it use only one connection together. On a
  // very slow machine the database may have ended the transaction by now.
  const answeredBefore = answered;
  const isHeld = (await backends(HELD)) > 0;
  expect(isHeld ? answeredBefore : 0).toBe(0);
  expect(await backends(`wait_event_type = 'Lock'`)).toBeLessThanOrEqual(1);
  expect(await Promise.all(callers)).toEqual(callers.map(() => 200));
  const row = await request(1, "GET", `/api/entities/Account/${hot}`);
  expect(await row.json()).toMatchObject({ cents: CALLERS });
  writeFileSync(release, "");
  cluster.replicas[0]?.signal("SIGCONT");
  // Nothing of the frozen replica's mutation was kept, and its caller gets an error.
  expect((await lost)?.status).toBe(503);
  rmSync(dirname(release), { recursive: true });
  expect(await backends(`wait_event_type = 'Lock'`)).toBe(0);
}, 60_000);
