import { query, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { Person } from "./person.ts";

const SEED = Number(process.env["ORACLE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const IS_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const SCENARIOS = Number(process.env["ORACLE_SEEDS"] ?? (IS_POSTGRES ? 8 : 30));
const MAX_MS = 60_000 + SCENARIOS * 10_000;

const manifest = buildManifest({
  name: "live-function-oracle",
  version: "1.0.0",
  entities: [
    entity(
      "Item",
      {
        n: field.int().optional(),
        text: field.string().optional(),
        nextId: field.string().optional(),
      },
      { relations: [{ name: "next", target: "Item", field: "nextId" }] },
    ),
  ],
  policies: [policy({ name: "admin", entity: "Item", allow: "auth.isAdmin" })],
});

const app = appOf(manifest, {
  /** A page, a count and a sum. */
  page: query({
    args: { where: v.looseObject({}), order: v.array(v.any()), limit: v.int(), offset: v.int() },
    handler: async (ctx, { where, order, limit, offset }) => [
      await ctx.db.query("Item", { ...where, $order: order, $limit: limit, $offset: offset }),
      await ctx.db.count("Item", where),
      await ctx.db.aggregate("Item", { where, sum: ["n"] }),
      await ctx.db.aggregate("Item", { where, count: true, groupBy: ["next.n"] }),
    ],
  }),
  /** Follows references from row to row, so that each read depends on the one before. */
  chain: query({
    args: { id: v.string() },
    handler: async (ctx, { id }) => {
      const seen: unknown[] = [];
      let at: string | null = id;
      while (at !== null && seen.length < 4) {
        const row: Readonly<Record<string, unknown>> | null = await ctx.db.get("Item", at);
        seen.push(row);
        if (row?.["text"] === "z") throw ctx.error("FOUND_Z", `${seen.length}`);
        at = typeof row?.["nextId"] === "string" ? row["nextId"] : null;
      }
      return seen;
    },
  }),
  /** Uses the caller only if a row says so. */
  whose: query({
    args: { id: v.string() },
    handler: async (ctx, { id }) => {
      if ((await ctx.db.count("Item", { n: 1 })) > 0) return ["own", ctx.auth.userId];
      return ["all", await ctx.db.lookup("Item", "text", id)];
    },
  }),
  graph: query({
    args: { where: v.looseObject({}) },
    handler: async (ctx, { where }) => [
      await ctx.db.queryGraph({ Item: { where, include: { next: {} }, limit: 2 } }),
      await ctx.db.paginate("Item", { numItems: 2 }),
    ],
  }),
});

const ids = fc.constantFrom("a", "b", "c", "d");
const numbers = fc.option(fc.integer({ min: 0, max: 3 }));
const texts = fc.option(fc.constantFrom("x", "xy", "z"));
const rows = fc.record({ n: numbers, text: texts, nextId: fc.option(ids) });
const conditions = fc.oneof(
  fc.record({ n: numbers }),
  fc.record({ text: texts }),
  fc.record({ n: fc.record({ $gt: fc.integer({ min: 0, max: 2 }) }) }),
  fc.record({ text: fc.constant({ $like: "x" }) }),
  fc.constant({}),
);

interface Ask {
  readonly name: string;
  readonly args: object;
}
const asks: fc.Arbitrary<Ask> = fc.oneof(
  fc.record({
    name: fc.constant("page"),
    args: fc.record({
      where: conditions,
      order: fc.constantFrom([{ n: "asc" }], [{ n: "desc" }], [{ text: "desc" }, { n: "asc" }]),
      limit: fc.integer({ min: 1, max: 2 }),
      offset: fc.integer({ min: 0, max: 1 }),
    }),
  }),
  fc.record({ name: fc.constant("chain"), args: fc.record({ id: ids }) }),
  // Several users should have this one open at the same time.
  { weight: 3, arbitrary: fc.constant({ name: "whose", args: { id: "x" } }) },
  fc.record({ name: fc.constant("graph"), args: fc.record({ where: conditions }) }),
);

type Write = readonly [id: string, row: Readonly<Record<string, unknown>> | null];
const writes: fc.Arbitrary<Write> = fc.tuple(ids, fc.oneof(rows, rows, fc.constant(null)));
/**
 * What happens concurrently: transactions, and clients that subscribe, unsubscribe and reconnect.
 */
const steps = fc.record({
  commits: fc.array(fc.array(writes, { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
  opens: fc.array(fc.tuple(fc.nat(2), asks), { maxLength: 3 }),
  closes: fc.array(fc.nat(), { maxLength: 1 }),
  returns: fc.option(fc.nat(2), { freq: 6 }),
});

let server: TestServer;
let admin: TestClient;
let users: TestClient[];
beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
  const guests = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  users = [...guests, new TestClient(server.url, null)];
});
afterAll(() => server.stop());

async function commit(changes: readonly Write[], there: Set<string>): Promise<void> {
  const operations = changes.flatMap(([id, data]): object[] => {
    const isThere = there.has(id);
    if (data === null) {
      there.delete(id);
      return isThere ? [{ op: "delete", entity: "Item", id }] : [];
    }
    there.add(id);
    return isThere
      ? [{ op: "update", entity: "Item", id, data }]
      : [{ op: "insert", entity: "Item", data: { id, ...data } }];
  });
  if (operations.length === 0) return;
  const { status, text } = await admin.request("POST", "/api/transact", operations);
  if (status !== 200) throw new Error(text);
}

/** The current result of a call, in the form of `QuerySocket.outcomes`. */
async function fresh(client: TestClient, { name, args }: Ask): Promise<unknown> {
  const { status, text, body } = await client.request("POST", `/api/fn/${name}`, args);
  if (status === 200) return JSON.parse(text) as unknown;
  return { failed: (body["error"] as { readonly code?: string } | undefined)?.code };
}

async function run(all: readonly (typeof steps extends fc.Arbitrary<infer S> ? S : never)[]) {
  const there = new Set<string>();
  const people = await Promise.all(users.map((user) => Person.connect<Ask>(user)));
  try {
    for (const { commits, opens, closes, returns } of all) {
      const committing = (async () => {
        for (const changes of commits) await commit(changes, there);
      })();
      for (const [place, ask] of opens) people[place]?.follow(ask);
      for (const place of closes) for (const person of people) person.leave(place);
      const left = returns === null ? undefined : people[returns];
      if (left !== undefined && returns !== null) people[returns] = await left.comeBack();
      await committing;
      for (const person of people)
        await person.compare(fresh, ({ socket }, id) => socket.outcomes(id).at(-1));
    }
    // No user receives the id of another user.
    for (const { client, socket } of people)
      for (const other of users)
        if (other.userId !== "" && other !== client)
          expect(socket.texts).not.toContain(other.userId);
  } finally {
    for (const { socket } of people) socket.socket.close();
    await commit(
      [...there].map((id) => [id, null]),
      there,
    );
  }
}

test(
  `live functions have the result of a fresh call, whatever is written (seed ${SEED})`,
  async () => {
    await fc.assert(fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 8 }), run), {
      seed: SEED,
      numRuns: SCENARIOS,
      interruptAfterTimeLimit: MAX_MS - 10_000,
      markInterruptAsFailure: false,
    });
  },
  MAX_MS,
);
