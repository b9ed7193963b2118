import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAIN_FILE } from "../../packages/cli/src/testing/main-file.ts";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

const INSERTS = 200;
const PORT = await freePort();
const dir = mkdtempSync(join(tmpdir(), "pylon-durability-"));
const children: Bun.Subprocess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

mkdirSync(join(dir, "functions"));
writeFileSync(
  join(dir, "app.ts"),
  `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "d", version: "1.0.0", access: "public",
  entities: [entity("Item", { n: field.int() })] });`,
);
writeFileSync(
  join(dir, "functions", "add.ts"),
  `import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { n: v.int() }, handler: async (ctx, { n }) => ({ id: await
  ctx.db.insert("Item", { n }), at: Math.random() }) });`,
);

/** Runs `pylon start` in a separate process, as in production. */
async function startProcess(): Promise<{
  readonly kill: (signal: NodeJS.Signals) => Promise<number>;
}> {
  const env = {
    ...process.env,
    PYLON_DB_PATH: join(dir, "d.db"),
    PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
    PYLON_LOG_LEVEL: "error",
    PYLON_RATE_LIMIT_MAX: "0",
    PYLON_FN_RATE_LIMIT_MAX: "0",
  };
  const child = Bun.spawn([process.execPath, MAIN_FILE, "start", dir, "--port", String(PORT)], {
    env,
    stdout: "ignore",
    stderr: "inherit",
  });
  children.push(child);
  for (;;) {
    const isUp = await fetch(`http://localhost:${PORT}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) break;
    if (child.exitCode !== null) throw new Error("The server did not start.");
    await Bun.sleep(10);
  }
  return {
    kill: async (signal) => {
      child.kill(signal);
      return child.exited;
    },
  };
}

test("kill -9 during 200 inserts loses no acknowledged row; retries apply once", async () => {
  const url = `http://localhost:${PORT}`;
  const client = new TestClient(url, ADMIN_TOKEN);
  const changes = Array.from({ length: INSERTS }, (_, n) => ({
    entity: "Item",
    row_id: `row-${n}`,
    kind: "insert",
    data: { n },
    op_id: `op-${n}`,
  }));
  const push = (change: (typeof changes)[number]): Promise<boolean> =>
    client.request("POST", "/api/sync/push", { changes: [change], results: true }).then(
      ({ status, body }) => status === 200 && body["applied"] === 1,
      () => false,
    );
  const rowIds = async (): Promise<string[]> =>
    ((await client.request("POST", "/api/query/Item", {})).text.match(/row-\d+/g) ?? []).toSorted();

  const first = await startProcess();
  // Some inserts are acknowledged, some are in progress, and some have not started.
  const acknowledged: string[] = [];
  const { promise: killed, resolve: isKilled } = Promise.withResolvers<void>();
  const sent = changes.map(async (change, n) => {
    await (n < (INSERTS * 3) / 4 ? Bun.sleep(n / 4) : killed);
    if (await push(change)) acknowledged.push(change.row_id);
  });
  while (acknowledged.length < INSERTS / 4) await Bun.sleep(0);
  const ended = first.kill("SIGKILL");
  isKilled();
  await ended;
  await Promise.all(sent);
  expect(acknowledged.length).toBeLessThan(INSERTS);

  const second = await startProcess();
  const survived = new Set(await rowIds());
  expect(acknowledged.filter((id) => !survived.has(id))).toEqual([]);
  expect(await Promise.all(changes.map(push))).toEqual(changes.map(() => true));
  expect(await rowIds()).toEqual(changes.map(({ row_id: id }) => id).toSorted());

  // The change log has each of them once, too.
  const pulled = await client.request("GET", "/api/sync/pull?since=0");
  expect(pulled.text.match(/"kind":"insert"/g)?.length).toBe(INSERTS);
  expect((pulled.body["cursor"] as { last_seq: number }).last_seq).toBe(INSERTS);
  expect(await second.kill("SIGTERM")).toBe(0);
}, 60_000);

test("a mutation with the same key runs once and returns the same after a restart", async () => {
  const client = new TestClient(`http://localhost:${PORT}`, ADMIN_TOKEN);
  const call = (): Promise<{ text: string }> =>
    client.request("POST", "/api/fn/add", { n: 7000 }, { "Idempotency-Key": "key-1" });
  const first = await startProcess();
  const answer = (await call()).text;
  expect((await call()).text).toBe(answer);
  await first.kill("SIGKILL");
  const second = await startProcess();
  expect((await call()).text).toBe(answer);
  expect(
    JSON.parse((await client.request("POST", "/api/query/Item", { n: 7000 })).text),
  ).toHaveLength(1);
  await second.kill("SIGTERM");
}, 60_000);
