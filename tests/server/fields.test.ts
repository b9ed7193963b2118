// What fields require of their values, when written and on every read path.
// `PYLON_TEST_STORE=postgres` runs the tests on Postgres.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage } from "@pylonsync/sync";
import fc from "fast-check";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const STATES = ["open", "done", "in review"] as const;

const Thing = entity("Thing", {
  state: field.enum(STATES).optional(),
  rank: field.int().min(-5).max(10).optional(),
  share: field.float().min(0).max(1).optional(),
  name: field.string().min(2).max(5).optional(),
  code: field.string().length(3).optional(),
  slug: field
    .string()
    .pattern(/^[a-z]+(-[a-z]+)*$/i)
    .optional(),
  site: field.url().optional(),
  mail: field.email().optional(),
  day: field.date().optional(),
  print: field.bytes({ maxBytes: 4 }).optional(),
  key: field.string().default("uuid"),
});
const app = appOf(
  buildManifest({ name: "fields", version: "1.0.0", access: "public", entities: [Thing] }),
);

let server: TestServer;
let client: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

/** Whether a field accepts a value, written as simply as possible. */
const TAKES: Readonly<Record<string, (value: unknown) => boolean>> = {
  state: (value) => STATES.some((state) => state === value),
  rank: (value) => Number.isInteger(value) && Number(value) >= -5 && Number(value) <= 10,
  share: (value) => typeof value === "number" && value >= 0 && value <= 1,
  name: (value) => typeof value === "string" && isBetween(Array.from(value).length, 2, 5),
  code: (value) => typeof value === "string" && Array.from(value).length === 3,
  slug: (value) =>
    typeof value === "string" && value.split("-").every((word) => /^[a-zA-Z]+$/.test(word)),
  site: (value) => typeof value === "string" && GOOD_URLS.includes(value),
  mail: (value) => typeof value === "string" && GOOD_MAILS.includes(value),
  day: (value) => typeof value === "string" && GOOD_DAYS.includes(value),
  print: (value) => typeof value === "string" && GOOD_BYTES.includes(value),
};
const GOOD_URLS = ["https://a.test", "http://a.test/x?y#z", "https://ä.test/ü", "HTTPS://A.test"];
const BAD_URLS = ["javascript:alert(1)", "a.test", "https://", "ftp://a.test", " https://a.test"];
const GOOD_MAILS = ["ada@example.com", "Ada+b@example.co.uk"];
const BAD_MAILS = ["ada", "@example.com", "ada@localhost", " ada@example.com", "a b@example.com"];
const GOOD_DAYS = ["2026-01-31", "2024-02-29", "0001-01-01", "9999-12-31", "1999-12-31"];
const BAD_DAYS = ["2026-02-29", "2026-1-1", "2026-01-31T00:00:00Z", "0000-01-01", "tomorrow"];
const GOOD_BYTES = ["", "AA==", "/+8=", "AAECAw=="];
const BAD_BYTES = ["AAECAwQ=", "AA", "AB==", "A===", "_-8=", "hello"];

const POOLS: Readonly<Record<string, readonly unknown[]>> = {
  state: [...STATES, "Open", "", "doen"],
  rank: [-6, -5, 0, 9, 10, 11, 2.5],
  share: [0, 0.1, 1, 1.0001, -0.1, 1e21],
  name: ["a", "ab", "\u{1F600}\u{1F600}", "\u{1F600}", "abcde", "abcdef", "é".repeat(6)],
  code: ["abc", "ab", "abcd", "\u{1F600}bc"],
  slug: ["a", "A-b", "a--b", "a-", "", "a b"],
  site: [...GOOD_URLS, ...BAD_URLS],
  mail: [...GOOD_MAILS, ...BAD_MAILS],
  day: [...GOOD_DAYS, ...BAD_DAYS],
  print: [...GOOD_BYTES, ...BAD_BYTES],
};
const NAMES = Object.keys(POOLS);
const WRONG_KINDS = [true, [], {}, "\0"];

function isBetween(count: number, least: number, most: number): boolean {
  return count >= least && count <= most;
}

const entries = fc
  .constantFrom(...NAMES)
  .chain((name) =>
    fc.tuple(
      fc.constant(name),
      fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...(POOLS[name] ?? [])) },
        { weight: 1, arbitrary: fc.constantFrom<unknown>(...WRONG_KINDS) },
      ),
    ),
  );
const written = fc
  .uniqueArray(entries, { selector: ([name]) => name, maxLength: 3 })
  .map((all) => Object.fromEntries(all));

const faultsOf = (data: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(data).filter((name) => TAKES[name]?.(data[name]) !== true);

test("a row is stored unchanged, or rejected for an invalid field", async () => {
  const socket = await client.live().opened();
  await fc.assert(
    fc.asyncProperty(written, fc.boolean(), async (data, byPush) => {
      const faults = faultsOf(data);
      const { id, error } = await (byPush ? pushed(data) : posted(data));
      if (error !== undefined) {
        expect(error["code"]).toBe("INVALID_DATA");
        expect(faults).toContain(String(error["field"]));
        return;
      }
      expect(faults).toEqual([]);
      const { body: row } = await client.request("GET", `/api/entities/Thing/${id}`);
      for (const name of NAMES) expect([name, row[name]]).toEqual([name, data[name] ?? null]);
      expect(row["key"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
      await until(() => socket.events.some(({ row_id: told }) => told === id));
      const event = socket.events.find(({ row_id: told }) => told === id);
      expect<object>({ ...event?.data, id }).toEqual(row);
    }),
    { numRuns: 150 },
  );
  socket.close();
}, 60_000);

test("an update follows the same rules, and a rejected one changes nothing", async () => {
  const id = await client.insert("Thing", { name: "abc" });
  const current: Record<string, unknown> = { name: "abc" };
  await fc.assert(
    fc.asyncProperty(written, async (data) => {
      const { status, body } = await client.request("PATCH", `/api/entities/Thing/${id}`, data);
      const faults = faultsOf(data);
      expect(status).toBe(faults.length === 0 ? 200 : 400);
      if (status === 200) Object.assign(current, data);
      else expect(faults).toContain(String((body["error"] as { field: string }).field));
      const { body: row } = await client.request("GET", `/api/entities/Thing/${id}`);
      for (const name of NAMES) expect([name, row[name]]).toEqual([name, current[name] ?? null]);
    }),
    { numRuns: 100 },
  );
}, 60_000);

test("a text that is too long for its pattern is rejected before the match", async () => {
  const { status, text } = await client.request("POST", "/api/entities/Thing", {
    slug: "a".repeat(11_000),
  });
  expect([status, text.includes("at most 10000 characters")]).toEqual([400, true]);
});

type Refusal = Readonly<Record<string, unknown>> | undefined;

async function posted(data: object): Promise<{ id: string; error: Refusal }> {
  const { body } = await client.request("POST", "/api/entities/Thing", data);
  return { id: String(body["id"]), error: body["error"] as Refusal };
}

let pushes = 0;
async function pushed(data: object): Promise<{ id: string; error: Refusal }> {
  const id = `p${(pushes += 1)}`;
  const { body } = await client.request("POST", "/api/sync/push", {
    changes: [{ entity: "Thing", row_id: id, kind: "insert", data, op_id: `op-${id}` }],
    results: true,
  });
  const [result] = body["results"] as readonly { readonly error?: Refusal }[];
  return { id, error: result?.error };
}

const order = fc.constantFrom(
  ...["day", "state", "rank"].flatMap((name) => [
    { [name]: "asc" as const },
    { [name]: "desc" as const },
  ]),
);
const where = fc.oneof(
  fc
    .tuple(fc.constantFrom("$lt", "$gte", "$eq"), fc.constantFrom(...GOOD_DAYS))
    .map(([operator, day]) => ({ day: { [operator]: day } })),
  fc.constantFrom(...STATES).map((state) => ({ state: { $gt: state } })),
  fc.subarray([...STATES]).map((states) => ({ state: { $in: states } })),
  fc.constant({ day: null }),
);

test("dates and enums compare and sort as their texts, on server and client", async () => {
  const own = await startServer(app);
  const caller = await TestClient.guest(own.url);
  const rows = [...GOOD_DAYS, undefined].map((day, n) => ({
    id: `r${n}`,
    ...(day === undefined ? {} : { day }),
    state: STATES[n % 3],
    rank: n,
  }));
  for (const row of rows) await caller.insert("Thing", row);
  const engine = createSyncEngine(own.url, {
    token: caller.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
  });
  engine.start();
  try {
    await until(() => engine.query("Thing").getSnapshot().length === rows.length);
    await fc.assert(
      fc.asyncProperty(where, order, async (filter, orderBy) => {
        const { text } = await caller.request("POST", "/api/query/Thing", {
          ...filter,
          $order: orderBy,
        });
        const asked = (JSON.parse(text) as { id: string }[]).map(({ id }) => id);
        const shown = engine.query("Thing", { where: filter, orderBy }).getSnapshot();
        expect(shown.map(({ id }) => String(id))).toEqual(asked);
        expect(asked.toSorted()).toEqual(
          rows.filter((row) => isMatch(row, filter)).map(({ id }) => id),
        );
      }),
      { numRuns: 80 },
    );
  } finally {
    engine.stop();
    await own.stop();
  }
}, 60_000);

function isMatch(row: Readonly<Record<string, unknown>>, filter: object): boolean {
  return Object.entries(filter).every(([name, condition]: [string, unknown]) => {
    const value = row[name] ?? null;
    if (typeof condition !== "object" || condition === null) return value === condition;
    return Object.entries(condition).every(([operator, operand]: [string, unknown]) => {
      if (operator === "$in") return (operand as unknown[]).includes(value);
      if (operator === "$eq") return value === operand;
      if (value === null) return false;
      const [a, b] = [String(value), String(operand)];
      return operator === "$lt" ? a < b : operator === "$gt" ? a > b : a >= b;
    });
  });
}

test("an export that is imported again is unchanged", async () => {
  const [from, to] = [await startServer(app), await startServer(app)];
  try {
    const [admin, other] = [
      new TestClient(from.url, ADMIN_TOKEN),
      new TestClient(to.url, ADMIN_TOKEN),
    ];
    for (const [n, day] of GOOD_DAYS.entries())
      await admin.insert("Thing", { day, site: GOOD_URLS[0], print: GOOD_BYTES[n % 4] });
    const exported = await admin.request("GET", "/api/export/Thing");
    const { body } = await other.request("POST", "/api/import", exported.text);
    expect(body["failed"]).toBe(0);
    const again = await other.request("GET", "/api/export/Thing");
    expect(again.body["entities"]).toEqual(exported.body["entities"]);
  } finally {
    await from.stop();
    await to.stop();
  }
});
