// Every value has one meaning, on every input path.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { action, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient, type Answer } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const Invite = entity("Invite", {
  email: field.string(),
  token: field.string().optional(),
  at: field.datetime().optional(),
  n: field.int().optional(),
});
const Event = entity("Event", {
  title: field.string(),
  madeAt: field.datetime().default("now"),
  opensAt: field.datetime().default("2026-01-01"),
  closesAt: field.datetime().default("2026-06-01T02:00:00+02:00"),
});

/** Calls of `ctx.db` with values that a handler should not pass. */
const READS: Readonly<Record<string, (db: Db) => Promise<unknown>>> = {
  lookupUndefined: (db) => db.lookup("Invite", "token", undefined as never),
  lookupNull: (db) => db.lookup("Invite", "token", null),
  lookupOperator: (db) => db.lookup("Invite", "token", { $ne: "x" } as never),
  getUndefined: (db) => db.get("Invite", undefined as never),
  getNumber: (db) => db.get("Invite", 5 as never),
  getNull: (db) => db.get("Invite", null),
  queryUndefined: (db) => db.query("Invite", { token: undefined }),
  queryOperator: (db) => db.query("Invite", { n: { $gt: undefined } }),
  queryList: (db) => db.query("Invite", { token: { $in: ["a", undefined] } }),
  queryOr: (db) => db.query("Invite", { $or: [{ token: undefined }] }),
  countUndefined: (db) => db.count("Invite", { token: undefined }),
  graphUndefined: (db) => db.queryGraph({ Invite: { where: { token: undefined } } }),
  aggregateUndefined: (db) => db.aggregate("Invite", { count: true, where: { token: undefined } }),
  queryNaN: (db) => db.query("Invite", { n: NaN }),
  queryInfinity: (db) => db.query("Invite", { n: { $lt: Infinity } }),
  byDate: (db) => db.query("Invite", { at: { $gte: new Date("2026-01-05T00:00:00Z") } }),
};
const WRITES: Readonly<Record<string, (db: WriterDb) => Promise<unknown>>> = {
  updateUndefined: (db) => db.update("Invite", undefined as never, { email: "x" }),
  deleteUndefined: (db) => db.delete("Invite", undefined as never),
};
type Db = Parameters<Parameters<typeof query>[0]["handler"]>[0]["db"];
type WriterDb = Parameters<Parameters<typeof mutation>[0]["handler"]>[0]["db"];

const app = appOf(
  buildManifest({ name: "values", version: "1.0.0", access: "public", entities: [Invite, Event] }),
  {
    read: query({
      args: { which: v.string() },
      handler: (ctx, { which }) => READS[which]?.(ctx.db),
    }),
    write: mutation({
      args: { which: v.string() },
      handler: (ctx, { which }) => WRITES[which]?.(ctx.db),
    }),
    saveProfile: mutation({
      args: { name: v.string(), profile: v.optional(v.object({ title: v.string() })) },
      handler: (_ctx, args) => args,
    }),
    hook: action({ args: {}, handler: (_ctx, args) => args }),
  },
);

let server: TestServer;
let client: TestClient;
const call = (name: string, args: unknown): Promise<Answer> =>
  client.request("POST", `/api/fn/${name}`, args);
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  await client.insert("Invite", { id: "open", email: "a@example.com", at: "2026-01-05" });
  await client.insert("Invite", { id: "sent", email: "b@example.com", token: "secret", n: 1 });
});
afterAll(() => server.stop());

test("P3: a call with undeclared arguments is rejected", async () => {
  expect((await call("saveProfile", { name: "a" })).body).toEqual({ name: "a" });
  expect(await call("saveProfile", { name: "a", isStaff: true })).toMatchObject({
    status: 400,
    body: { error: { code: "INVALID_ARGS", field: "isStaff" } },
  });
  expect(
    await call("saveProfile", { name: "a", profile: { title: "t", ownerId: "x" } }),
  ).toMatchObject({ status: 400, body: { error: { field: "profile.ownerId" } } });
});

test("P3: the action of a webhook receives the raw body without declaring it", async () => {
  const answer = await client.request("POST", "/api/webhooks/hook", "raw");
  expect(answer).toMatchObject({ status: 200, body: { rawBody: "raw" } });
});

test("P4: undefined is never a value to search for", async () => {
  const refused: readonly [string, string, string][] = [
    ["lookupUndefined", "INVALID_QUERY", "token"],
    ["lookupOperator", "INVALID_QUERY", "token"],
    ["getUndefined", "INVALID_ID", "id"],
    ["getNumber", "INVALID_ID", "id"],
    ["queryUndefined", "INVALID_QUERY", "token"],
    ["queryOperator", "INVALID_QUERY", "n.$gt"],
    ["queryList", "INVALID_QUERY", "token.$in[1]"],
    ["queryOr", "INVALID_QUERY", "$or[0].token"],
    ["countUndefined", "INVALID_QUERY", "token"],
    ["graphUndefined", "INVALID_QUERY", "token"],
    ["aggregateUndefined", "INVALID_QUERY", "token"],
    ["queryNaN", "INVALID_QUERY", "n"],
    ["queryInfinity", "INVALID_QUERY", "n.$lt"],
  ];
  for (const [which, code, field] of refused) {
    const { body } = await call("read", { which });
    const { error = {} } = body as { error?: Record<string, unknown> };
    expect([which, error["code"]]).toEqual([which, code]);
    expect(String(error["field"])).toStartWith(field);
  }
  for (const which of ["updateUndefined", "deleteUndefined"])
    expect(await call("write", { which })).toMatchObject({
      body: { error: { code: "INVALID_ID", field: "id" } },
    });
  for (const which of ["lookupNull", "getNull"])
    expect((await call("read", { which })).text).toBe("null");
});

test("Q2: a default is stored as the value it stands for, in normalized form", async () => {
  const before = new Date().toISOString();
  const id = await client.insert("Event", { title: "a" });
  await client.insert("Event", { id: "old", title: "b", madeAt: "2020-01-01" });
  const after = new Date().toISOString();
  const { body } = await client.request("GET", `/api/entities/Event/${id}`);
  expect(body).toMatchObject({
    opensAt: "2026-01-01T00:00:00.000Z",
    closesAt: "2026-06-01T00:00:00.000Z",
  });
  const madeAt = String(body["madeAt"]);
  expect(madeAt >= before && madeAt <= after).toBe(true);
  const found = async (filter: object): Promise<unknown> =>
    (await client.request("POST", "/api/query/Event", filter)).body;
  expect(await found({ madeAt: { $gte: before, $lte: after } })).toMatchObject([{ id }]);
  expect(await found({ madeAt })).toMatchObject([{ id }]);
  expect(
    await found({ opensAt: "2026-01-01T01:00:00+01:00", $order: { madeAt: "asc" } }),
  ).toMatchObject([{ id: "old" }, { id }]);
});

test("Q1: a Date in a filter of a function matches its point in time", async () => {
  expect((await call("read", { which: "byDate" })).body).toMatchObject([{ id: "open" }]);
});
