import { afterAll, beforeAll, expect, test } from "bun:test";
import { connectShard, type ShardClient } from "@pylonsync/sync/shards";
import { Client } from "pg";
import { TestClient, until } from "../support/client.ts";
import { Cluster, type Replica } from "../support/cluster.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";
import { ShardSocket } from "../support/shard-socket.ts";

// Three replicas and one database: a shard runs on one of them, whichever its clients connect to.
const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "shards", version: "1.0.0", access: "public",
  entities: [entity("Item", { n: field.int() })] });
`,
  "shards/board.ts": `import { shard, v } from "@pylonsync/functions";
export default shard({
  tickRate: 20, instances: true, saveSeconds: 1, maxPlayers: 2, graceSeconds: 30, maxSpectators: 1,
  input: v.object({ add: v.int() }),
  init: () => ({ total: 0, fill: "" }),
  onInput: (state, _player, { add }, step) => {
    if (add < 0) throw step.refuse("NEGATIVE", "Only up.");
    state.total += add;
  },
  view: ({ total }) => ({ total, pid: process.pid }),
});
`,
};

interface View {
  readonly total: number;
  readonly pid: number;
}

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

async function savedState(id: string): Promise<string> {
  const { rows } = await database.query<{ state: string | null }>(
    `SELECT state FROM "_pylon_shards" WHERE id = $1`,
    [id],
  );
  return rows[0]?.state ?? "";
}

function replica(index: number): Replica {
  const found = cluster.replicas[index];
  if (found === undefined) throw new Error(`There is no replica ${index}.`);
  return found;
}

/** A guest, whose session is valid on all replicas. */
const guest = (): Promise<TestClient> => TestClient.guest(replica(0).url);

function through(index: number, { userId, token }: TestClient, shard: string): ShardSocket {
  return new ShardSocket(replica(index).url, { shard, sid: userId, token });
}

test("clients of one shard play together, whichever replica each connects to", async () => {
  const [ann, bob, eve] = [await guest(), await guest(), await guest()];
  const here = await through(0, ann, "board:1").joined();
  const there = await through(1, bob, "board:1").joined();
  expect((there.view as View).pid).toBe((here.view as View).pid);
  there.send({ add: 5 }, 1);
  await there.heard(({ ack }) => ack === 1);
  here.send({ add: 2 }, 1);
  await until(() => (there.view as View).total === 7 && (here.view as View).total === 7);
  // Through another replica, a client receives what it would receive on the shard's own.
  there.send({ add: -1 }, 2);
  expect((await there.heard(({ refused }) => refused === 2)).code).toBe("NEGATIVE");
  there.send({ add: "x" }, 3);
  expect((await there.heard(({ refused }) => refused === 3)).code).toBe("INVALID_ARGS");
  expect(await through(2, eve, "board:1").ended()).toEqual({
    code: 1013,
    reason: "shard is at max subscribers",
  });
  const old = new ShardSocket(replica(2).url, {
    shard: "board:1",
    sid: bob.userId,
    token: bob.token,
    isOld: true,
  });
  await until(() => old.views.length > 0);
  expect(old.views[0]?.snapshot).toMatchObject({ total: 7 });
  expect(JSON.stringify([here.frames, there.frames])).not.toContain("reconnect");
  // The end of a session, on any replica, closes the connection.
  await new TestClient(replica(2).url, bob.token).request("DELETE", "/api/auth/session");
  expect((await there.ended())?.code).toBe(4401);
  here.close();
  old.close();
}, 30_000);

test("inputs and streams over HTTP and requests of the admin reach the shard as well", async () => {
  const [ann, bob] = [await guest(), await guest()];
  const here = await through(0, ann, "board:2").joined();
  const abort = new AbortController();
  const stream = await fetch(`${replica(1).url}/api/shards/board:2/connect`, {
    headers: { Authorization: `Bearer ${bob.token}` },
    signal: abort.signal,
  });
  let text = "";
  const reading = (async () => {
    for await (const chunk of stream.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => undefined);
  await until(() => text.includes('"total":0'));
  const beside = new TestClient(replica(2).url, bob.token, bob.userId);
  const sent = await beside.request("POST", "/api/shards/board:2/input", { input: { add: 3 } });
  expect([sent.status, sent.body]).toEqual([200, { accepted: true, seq: 1 }]);
  await until(() => text.includes('"total":3') && (here.view as View).total === 3);
  const wrong = await beside.request("POST", "/api/shards/board:2/input", { input: { add: "x" } });
  expect([wrong.status, wrong.body["error"]]).toMatchObject([400, { field: "input.add" }]);
  const spoofed = { input: { add: 1 }, subscriber_id: ann.userId };
  expect((await beside.request("POST", "/api/shards/board:2/input", spoofed)).status).toBe(403);
  const admin = new TestClient(replica(2).url, ADMIN_TOKEN);
  const { body } = await admin.request("GET", "/api/shards/board:2");
  expect(body).toMatchObject({ running: true, subscribers: 2 });
  const kicked = await admin.request("POST", "/api/shards/board:2/kick", { player: ann.userId });
  expect([kicked.body, (await here.ended())?.code]).toEqual([{ kicked: true }, 4403]);
  expect((await admin.request("DELETE", "/api/shards/board:2")).status).toBe(200);
  await reading;
  expect((await admin.request("GET", "/api/shards/board:2")).status).toBe(404);
  abort.abort();
}, 20_000);

/** A client that reconnects by itself, through the load balancer. */
function player({ userId, token }: TestClient, shard: string): Player {
  return new Player(
    connectShard<View, { add: number }>(shard, {
      baseUrl: cluster.url,
      subscriberId: userId,
      token: token ?? "",
    }),
  );
}

class Player {
  readonly client: ShardClient<View, { add: number }>;
  view: View | null = null;
  tick = 0;
  readonly closes: boolean[] = [];

  constructor(client: ShardClient<View, { add: number }>) {
    this.client = client;
    client.onSnapshot((view, tick) => {
      this.view = view;
      this.tick = tick;
    });
    client.onClose((_reason, willReturn) => void this.closes.push(willReturn));
  }
}

/** The replica with this process id. */
function replicaOf(pid: number | undefined): Replica {
  const found = cluster.replicas.find((one) => one.pid === pid);
  if (found === undefined) throw new Error(`Nobody runs as ${pid}.`);
  return found;
}

test.each([
  ["killed", "SIGKILL"],
  ["stopped", "SIGTERM"],
] as const)(
  "the shard of a replica that is %s resumes elsewhere within 3 s",
  async (how, signal) => {
    const id = `board:${how}`;
    const [ann, bob] = [player(await guest(), id), player(await guest(), id)];
    await until(() => ann.view !== null && bob.view !== null);
    ann.client.send({ add: 40 });
    bob.client.send({ add: 2 });
    await until(() => ann.view?.total === 42);
    const before = { pid: ann.view?.pid };
    const owner = replicaOf(before.pid);
    await until(async () => (await savedState(id)).includes('"total":42'));
    const ended = owner.stop(signal);
    const isElsewhere = ({ view }: Player): boolean => view !== null && view.pid !== before.pid;
    // Time during which the whole machine stands still does not count.
    await until(() => isElsewhere(ann) && isElsewhere(bob), 3_000);
    expect([ann.view?.total, ann.view?.pid]).toEqual([42, bob.view?.pid]);
    expect([...ann.closes, ...bob.closes]).not.toContain(false);
    ann.client.send({ add: 1 });
    await until(() => bob.view?.total === 43);
    ann.client.close();
    bob.client.close();
    await ended;
    await owner.start();
  },
  40_000,
);

test("the shard of a machine that vanishes resumes elsewhere, and only there", async () => {
  const [ann, bob] = [await guest(), await guest()];
  const first = await through(0, ann, "board:vanished").joined();
  const owner = replicaOf((first.view as View).pid);
  const other = cluster.replicas.indexOf(owner) === 0 ? 1 : 0;
  const bobs = new Player(
    connectShard<View, { add: number }>("board:vanished", {
      baseUrl: replica(other).url,
      subscriberId: bob.userId,
      token: bob.token ?? "",
    }),
  );
  await until(() => bobs.view !== null);
  bobs.client.send({ add: 9 });
  await until(async () => (await savedState("board:vanished")).includes('"total":9'));
  const startedAt = performance.now();
  // Its sockets stay open, but nothing responds, not even with a refusal.
  owner.signal("SIGSTOP");
  await until(() => bobs.view !== null && bobs.view.pid !== owner.pid);
  console.log(`vanished: played on after ${Math.round(performance.now() - startedAt)} ms`);
  expect(bobs.view?.total).toBe(9);
  bobs.client.send({ add: 1 });
  owner.signal("SIGCONT");
  // It notices that it lost the shard before it writes any of its state.
  expect((await first.ended())?.code).toBe(1013);
  const again = await through(cluster.replicas.indexOf(owner), ann, "board:vanished").joined();
  await until(() => (again.view as View).total === 10);
  expect((again.view as View).pid).toBe(bobs.view?.pid ?? 0);
  bobs.client.close();
  again.close();
}, 40_000);
