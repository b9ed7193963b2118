import { LIVE_AGGREGATE, LIVE_SEARCH } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, test } from "bun:test";
import fc from "fast-check";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { Person } from "./person.ts";

// Aggregates and searches that clients follow, compared with those that are requested again.

const SEED = Number(process.env["ORACLE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const IS_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const SCENARIOS = Number(process.env["ORACLE_SEEDS"] ?? (IS_POSTGRES ? 8 : 20));
const MAX_MS = 60_000 + SCENARIOS * 10_000;

const fields = {
  n: field.int().optional(),
  text: field.string().optional(),
  at: field.datetime().optional(),
  ownerId: field.string().optional(),
  nextId: field.string().optional(),
  tags: field.array(field.string()).optional(),
};
const relations = [{ name: "next", target: "Item", field: "nextId" }];
const search = { fields: ["text"], facets: ["n", "tags"], sort: ["n"] };
const manifest = buildManifest({
  name: "live-read-oracle",
  version: "1.0.0",
  entities: [
    entity("Open", fields, { search, relations }),
    entity("Item", fields, { search, relations }),
    entity("Shared", fields, { search, relations }),
  ],
  policies: [
    policy({ name: "all", entity: "Open", allow: "true" }),
    policy({ name: "own", entity: "Item", allow: "auth.userId == data.ownerId || data.n == 1" }),
    policy({
      name: "with-items",
      entity: "Shared",
      allow: "exists(Item, text == data.text && ownerId == auth.userId)",
    }),
    policy({ name: "n", entity: "Open", fields: { n: { allowRead: "auth.userId != null" } } }),
  ],
});

let server: TestServer;
let admin: TestClient;
let users: TestClient[];
beforeAll(async () => {
  server = await startServer(appOf(manifest));
  admin = new TestClient(server.url, ADMIN_TOKEN);
  const guests = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  users = [...guests, new TestClient(server.url, null), admin];
});
afterAll(() => server.stop());

const names = fc.constantFrom("Open", "Item", "Shared");
const ids = fc.constantFrom("a", "b", "c", "d");
const numbers = fc.option(fc.integer({ min: 0, max: 2 }));
const texts = fc.option(fc.constantFrom("x", "x y", "z"));
const rows = fc.record({
  n: numbers,
  text: texts,
  at: fc.option(fc.constantFrom("2026-01-05T10:00:00Z", "2026-01-05T23:30:00Z")),
  // The place of a user, whose id replaces it.
  ownerId: fc.option(fc.nat(1)),
  nextId: fc.option(ids),
  tags: fc.option(fc.array(fc.constantFrom("red", "green"), { maxLength: 3 })),
});
const conditions = fc.oneof(
  fc.record({ text: texts }),
  fc.record({ text: fc.constant({ $like: "x" }) }),
  fc.record({ next: fc.record({ text: texts }) }),
  fc.constant({}),
);
const day = { field: "at", bucket: "day" } as const;
const groups = fc.subarray(
  ["text", "next.text", day, { ...day, timeZone: "Asia/Tokyo" }] as const,
  {
    maxLength: 1,
  },
);
const aggregates = fc.record({
  count: fc.constantFrom<boolean | string>(true, "text"),
  max: fc.subarray(["text", "at", "n"], { maxLength: 1 }),
  where: conditions,
  groupBy: groups,
});
const searches = fc.record({
  query: fc.constantFrom("x", "y", ""),
  filters: fc.record({ text: texts, tags: fc.constant({ $has: "red" }) }, { requiredKeys: [] }),
  sort: fc.constantFrom(["n", "asc"], undefined),
  pageSize: fc.integer({ min: 1, max: 3 }),
});

/** A read, as a subscription and as a request. */
interface Ask {
  readonly name: string;
  readonly args: { readonly entity: string; readonly spec: object };
}
const asks: fc.Arbitrary<Ask> = fc.oneof(
  fc.record({
    name: fc.constant(LIVE_AGGREGATE),
    args: fc.record({ entity: names, spec: aggregates }),
  }),
  fc.record({ name: fc.constant(LIVE_SEARCH), args: fc.record({ entity: names, spec: searches }) }),
);

type Write = readonly [name: string, id: string, row: Readonly<Record<string, unknown>> | null];
const writes: fc.Arbitrary<Write> = fc.tuple(names, ids, fc.oneof(rows, rows, fc.constant(null)));
const steps = fc.record({
  commits: fc.array(fc.array(writes, { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
  // Several users follow the same read.
  opens: fc.array(fc.tuple(fc.subarray([0, 1, 2, 3]), asks), { maxLength: 3 }),
  closes: fc.array(fc.nat(), { maxLength: 1 }),
  returns: fc.option(fc.nat(3), { freq: 6 }),
});
type Step = typeof steps extends fc.Arbitrary<infer S> ? S : never;

async function commit(changes: readonly Write[], there: Set<string>): Promise<void> {
  const operations = changes.flatMap(([name, id, row]): object[] => {
    const key = `${name}/${id}`;
    const isThere = there.has(key);
    if (row === null) {
      there.delete(key);
      return isThere ? [{ op: "delete", entity: name, id }] : [];
    }
    there.add(key);
    const owner = row["ownerId"];
    const ownerId = typeof owner === "number" ? users[owner]?.userId : null;
    const data = { ...row, ownerId };
    return isThere
      ? [{ op: "update", entity: name, id, data }]
      : [{ op: "insert", entity: name, data: { id, ...data } }];
  });
  if (operations.length === 0) return;
  const { status, text } = await admin.request("POST", "/api/transact", operations);
  if (status !== 200) throw new Error(text);
}

/** The response to a read now, in the form of `QuerySocket.outcomes`. */
async function fresh(client: TestClient, { name, args: { entity: of, spec } }: Ask) {
  const path = name === LIVE_AGGREGATE ? "aggregate" : "search";
  const { status, text, body } = await client.request("POST", `/api/${path}/${of}`, spec);
  if (status === 200) return withoutTime(JSON.parse(text));
  return { failed: (body["error"] as { readonly code?: string } | undefined)?.code };
}

function withoutTime(outcome: unknown): unknown {
  const isSearch = typeof outcome === "object" && outcome !== null && "tookMs" in outcome;
  return isSearch ? { ...outcome, tookMs: 0 } : outcome;
}

/** The newest outcome of a subscription, or the reason for which it was rejected. */
function outcomeOf({ socket }: Person<Ask>, id: number): unknown {
  const refused = socket.all("error").find((one) => one.id === id);
  if (refused !== undefined) return { failed: refused.code };
  return withoutTime(socket.outcomes(id).at(-1));
}

async function take(
  { commits, opens, closes, returns }: Step,
  people: Person<Ask>[],
  there: Set<string>,
) {
  const committing = (async () => {
    for (const changes of commits) await commit(changes, there);
  })();
  for (const [places, ask] of opens) for (const place of places) people[place]?.follow(ask);
  for (const place of closes) for (const person of people) person.leave(place);
  const left = returns === null ? undefined : people[returns];
  if (left !== undefined && returns !== null) people[returns] = await left.comeBack();
  await committing;
  for (const person of people) await person.compare(fresh, outcomeOf);
}

async function run(all: readonly Step[]): Promise<void> {
  const there = new Set<string>();
  const people = await Promise.all(users.map((user) => Person.connect<Ask>(user)));
  try {
    for (const step of all) await take(step, people, there);
  } finally {
    for (const { socket } of people) socket.socket.close();
    const rest = [...there].map((key): Write => {
      const [name = "", id = ""] = key.split("/");
      return [name, id, null];
    });
    await commit(rest, there);
  }
}

test(
  `live reads have the result of a fresh request, whatever is written (seed ${SEED})`,
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
