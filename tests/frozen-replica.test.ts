import { afterAll, beforeAll, expect, test } from "bun:test";
import { Client } from "pg";
import { until } from "./support/client.ts";
import { Cluster } from "./support/cluster.ts";
import { createDatabase, sharedPostgresUrl } from "./support/servers/postgres.ts";

const CALLERS = 14;

const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "bank", version: "1.0.0", access: "public",
  entities: [entity("Account", { cents: field.int() })] });
`,
  "functions/deposit.ts": `import { mutation, v } from "@pylonsync/functions";
export default mutation({
  args: { id: v.string(), waits: v.boolean() },
  async handler(ctx, { id, waits }) {
    const account = await ctx.db.get("Account", id);
    await ctx.db.update("Account", id, { cents: Number(account?.cents) + 1 });
    if (waits) await new Promise((resolve) => setTimeout(resolve, 8_000));
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

function deposit(replica: number, id: string, waits = false): Promise<Response> {
  return request(replica, "POST", "/api/fn/deposit", { id, waits });
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

test("F1: a replica that freezes in a mutation briefly delays its row's writers", async () => {
  const [hot, cold] = [await newAccount(), await newAccount()];
  const lost = deposit(0, hot, true).catch(() => null);
  await until(
    async () => (await backends(`query LIKE 'UPDATE%' AND state = 'idle in transaction'`)) > 0,
  );
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
  // The row is held all the while, and all those who want it wait in one connection's place.
  expect(answered).toBe(0);
  expect(await backends(`wait_event_type = 'Lock'`)).toBeLessThanOrEqual(1);
  expect(await Promise.all(callers)).toEqual(callers.map(() => 200));
  const row = await request(1, "GET", `/api/entities/Account/${hot}`);
  expect(await row.json()).toMatchObject({ cents: CALLERS });
  cluster.replicas[0]?.signal("SIGCONT");
  // Of the mutation of the frozen replica nothing was kept, and it is told so.
  expect((await lost)?.status).toBe(503);
  expect(await backends(`wait_event_type = 'Lock'`)).toBe(0);
}, 60_000);
