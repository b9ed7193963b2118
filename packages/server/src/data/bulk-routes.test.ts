import { MAX_PUSH_CHANGES } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { Route } from "../request/route.ts";
import { bulkRoutes } from "./bulk-routes.ts";
import { ADMIN, type Caller } from "../identity/identity.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import { callRoute } from "./testing/call-route.ts";

const manifest = buildManifest({
  name: "bulk",
  version: "1.0.0",
  entities: [entity("Item", { n: field.int(), ownerId: field.string().owner() })],
  policies: [policy({ name: "own", entity: "Item", allow: "auth.userId == data.ownerId" })],
});

let app: AppData;
let routes: readonly Route[];
beforeAll(async () => {
  app = await openAppData(manifest);
  const { store, committer, platform } = app;
  const services = { store, committer, platform, model: () => app.model, reader: () => store };
  routes = bulkRoutes(services);
});
afterAll(() => app[Symbol.asyncDispose]());

interface Operation {
  readonly op: "insert" | "update" | "delete";
  readonly entity: string;
  readonly id: string;
  readonly data?: { readonly n: number | string; readonly ownerId?: string };
}
interface Outcome {
  readonly op: string;
  readonly ok: boolean;
  readonly id?: string;
  readonly error?: { readonly code: string };
}

const operation: fc.Arbitrary<Operation> = fc.record({
  op: fc.constantFrom("insert", "update", "delete"),
  entity: fc.constantFrom("Item", "Item", "Item", "Nothing"),
  id: fc.constantFrom("a", "b", "c"),
  data: fc.record({ n: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant("text")) }),
});

/** Applies the operation to the rows. @returns "ok", or the code of the error */
function applied({ op, entity: name, id, data }: Operation, rows: Map<string, unknown>): string {
  if (name !== "Item") return "ENTITY_NOT_FOUND";
  if (op !== "delete" && typeof data?.n !== "number") return "INVALID_DATA";
  if (op === "insert" && rows.has(id)) return "ID_TAKEN";
  if (op !== "insert" && !rows.has(id)) return "NOT_FOUND";
  if (op === "delete") rows.delete(id);
  else rows.set(id, data?.n);
  return "ok";
}

async function rowsNow(): Promise<Map<string, unknown>> {
  const rows = await app.store.select({ entity: "Item" });
  return new Map(rows.map(({ id, n }) => [id, n]));
}

async function send(
  path: string,
  caller: Caller,
  body: unknown,
): Promise<{
  readonly status: number;
  readonly results: readonly Outcome[];
  readonly rest: Record<string, unknown>;
}> {
  const answer = await callRoute(routes, "POST", path, { caller, body });
  const { results = [], ...rest } = answer.body as { results?: readonly Outcome[] };
  return { status: answer.status, results, rest };
}

test("a batch has the effect of its operations one by one, and some may be rejected", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 8 }), async (operations) => {
      await app.clear();
      const expected = new Map<string, unknown>();
      const owned = operations.map((made) =>
        made.op === "insert" ? { ...made, data: { n: 0, ...made.data, ownerId: "ann" } } : made,
      );
      const codes = owned.map((made) => applied(made, expected));
      const { status, results, rest } = await send("/api/batch", ADMIN, { operations: owned });
      expect(status).toBe(200);
      expect(results.map(({ ok, error }) => (ok ? "ok" : error?.code))).toEqual(codes);
      expect(results.map(({ op, id }) => [op, id])).toEqual(owned.map(({ op, id }) => [op, id]));
      const succeeded = codes.filter((code) => code === "ok").length;
      expect(rest).toEqual({ succeeded, failed: codes.length - succeeded });
      expect(await rowsNow()).toEqual(expected);
    }),
    { numRuns: 30 },
  );
});

test("a transaction is applied as a whole, or its first rejection rolls it back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 6 }), async (operations) => {
      await app.clear();
      const expected = new Map<string, unknown>();
      const codes = operations.map((made) => applied(made, expected));
      const end = codes.findIndex((code) => code !== "ok");
      const { status, results, rest } = await send("/api/transact", user("ann"), operations);
      expect(status).toBe(end === -1 ? 200 : 400);
      expect(rest).toEqual({ committed: end === -1 });
      const reported = end === -1 ? codes : codes.slice(0, end + 1);
      expect(results.map(({ ok, error }) => (ok ? "ok" : error?.code))).toEqual(reported);
      expect(await rowsNow()).toEqual(end === -1 ? expected : new Map());
    }),
    { numRuns: 30 },
  );
});

test("a request that is sent again with its key gets the same response", async () => {
  await app.clear();
  const call = {
    caller: user("ann"),
    body: [{ op: "insert", entity: "Item", data: { n: 1 } }],
    headers: { "Idempotency-Key": "k1" },
  };
  const first = await callRoute(routes, "POST", "/api/transact", call);
  expect(first).toMatchObject({ status: 200, body: { committed: true } });
  expect(await callRoute(routes, "POST", "/api/transact", call)).toEqual(first);
  expect((await rowsNow()).size).toBe(1);
  const other = { ...call, body: [{ op: "delete", entity: "Item", id: "x" }] };
  expect(await callRoute(routes, "POST", "/api/transact", other)).toMatchObject({
    status: 409,
    body: { error: { code: "IDEMPOTENCY_KEY_REUSED" } },
  });
});

test("a request that is not a list of operations is rejected with its place", async () => {
  const cases: readonly [unknown, string, string][] = [
    [null, "MISSING_OPERATIONS", "operations"],
    [{}, "MISSING_OPERATIONS", "operations"],
    [[null], "INVALID_DATA", "operations[0].op"],
    [[{ op: "replace", entity: "Item" }], "INVALID_DATA", "operations[0].op"],
    [[{ op: "delete", id: "a" }], "MISSING_ENTITY", "operations[0].entity"],
    [[{ op: "delete", entity: "Item", id: 7 }], "INVALID_ID", "operations[0].id"],
    [Array.from({ length: MAX_PUSH_CHANGES + 1 }, () => ({})), "INVALID_DATA", "operations"],
  ];
  for (const [operations, code, place] of cases) {
    const error = { error: { code, field: place } };
    const call = { caller: ADMIN, body: operations };
    expect(await callRoute(routes, "POST", "/api/transact", call)).toMatchObject({ body: error });
    const wrapped = { caller: ADMIN, body: { operations } };
    expect(await callRoute(routes, "POST", "/api/batch", wrapped)).toMatchObject({ body: error });
  }
  for (const body of [[], "text", 7])
    expect(await callRoute(routes, "POST", "/api/batch", { caller: ADMIN, body })).toMatchObject({
      body: { error: { code: "MISSING_OPERATIONS" } },
    });
});

test("an operation without an id is rejected, unless its data contains one", async () => {
  await app.clear();
  const caller = user("ann");
  const { results } = await send("/api/batch", ADMIN, {
    operations: [
      { op: "insert", entity: "Item", data: { id: "inside", n: 1, ownerId: "ann" } },
      { op: "update", entity: "Item", data: { id: "inside", n: 2 } },
      { op: "delete", entity: "Item" },
      { op: "update", entity: "Item", id: "not an id", data: { n: 1 } },
    ],
  });
  expect(results).toMatchObject([
    { ok: true, id: "inside" },
    { ok: true, id: "inside" },
    { ok: false, error: { code: "MISSING_FIELD" } },
    { ok: false, error: { code: "INVALID_ID" } },
  ]);
  expect(await rowsNow()).toEqual(new Map([["inside", 2]]));
  // The policies apply to each operation.
  const { status } = await send("/api/transact", user("bob"), [
    { op: "delete", entity: "Item", id: "inside" },
  ]);
  expect(status).toBe(400);
  expect(await send("/api/transact", caller, [])).toMatchObject({ status: 200, results: [] });
});
