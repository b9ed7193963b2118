import { afterAll, beforeAll, expect, test } from "bun:test";
import { internalMutation, mutation, query, v } from "@pylonsync/functions";
import { action, buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, type Answer } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Routes that tools and dashboards of the public system request.

const app = appOf(
  buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [
      entity(
        "Product",
        { name: field.string(), brand: field.string().optional() },
        { search: { text: ["name"], facets: ["brand"], sortable: [] } },
      ),
      entity("Order", { note: field.string() }),
    ],
    actions: [
      action("placeOrder", {
        input: [
          { name: "note", type: "string" },
          { name: "count", type: "int", optional: true },
        ],
      }),
      action("ping"),
      action("inner"),
    ],
    policies: [
      policy({ name: "orders", entity: "Order", allowRead: "true" }),
      policy({
        name: "place",
        action: "placeOrder",
        allow: "auth.userId != null && input.note != 'refused'",
      }),
    ],
    crons: [{ name: "nightly", schedule: "0 3 * * *", function: "inner" }],
  }),
  {
    placeOrder: mutation({
      args: { note: v.string(), count: v.optional(v.int()) },
      handler: async (ctx, { note }) => ({ id: await ctx.db.insert("Order", { note }) }),
    }),
    top: query({
      args: {},
      handler: (ctx) => ctx.cache.getOrSet("top/10", 60, () => ["a"]),
    }),
    inner: internalMutation({ args: {}, handler: () => "never shown" }),
  },
);

let server: TestServer;
let guest: TestClient;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  guest = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

const act = (client: TestClient, name: string, input: object): Promise<Answer> =>
  client.request("POST", `/api/actions/${name}`, input);

test("an action runs the function with its name, and returns its input and result", async () => {
  const { status, body } = await act(guest, "placeOrder", { note: "two", count: 2 });
  expect([status, body]).toEqual([
    200,
    {
      action: "placeOrder",
      input: { note: "two", count: 2 },
      executed: true,
      result: { id: expect.any(String) },
    },
  ]);
  expect((await guest.request("POST", "/api/query/Order", { note: "two" })).body).toHaveLength(1);
});

test("an action without a public function of the app returns only its input", async () => {
  const nobody = new TestClient(server.url, null);
  for (const name of ["ping", "inner"])
    expect((await act(nobody, name, {})).body).toEqual({
      action: name,
      input: {},
      executed: true,
    });
});

test("an action is checked against its policy and its inputs", async () => {
  const refusals = [
    [await act(new TestClient(server.url, null), "placeOrder", { note: "a" }), 403, undefined],
    [await act(guest, "placeOrder", { note: "refused" }), 403, undefined],
    [await act(guest, "placeOrder", { note: 1 }), 400, "note"],
    [await act(guest, "placeOrder", { note: "a", count: 1.5 }), 400, "count"],
    [await act(guest, "placeOrder", { note: "a", colour: "red" }), 400, "colour"],
    [await act(guest, "placeOrder", {}), 400, "note"],
  ] as const;
  for (const [{ status, body }, expected, field] of refusals) {
    expect(status).toBe(expected);
    expect(Object(body["error"])["field"]).toBe(field);
  }
  expect((await act(admin, "placeOrder", { note: "refused" })).status).toBe(200);
  expect(await act(guest, "placeOrdr", {})).toMatchObject({
    status: 404,
    body: { error: { code: "ACTION_NOT_FOUND", hint: 'Did you mean "placeOrder"?' } },
  });
});

test("an action with a repeated Idempotency-Key runs once", async () => {
  const headers = { "Idempotency-Key": "order-1" };
  const ask = (): Promise<Answer> =>
    guest.request("POST", "/api/actions/placeOrder", { note: "once" }, headers);
  const first = await ask();
  expect((await ask()).body).toEqual(first.body);
  expect((await guest.request("POST", "/api/query/Order", { note: "once" })).body).toHaveLength(1);
});

test("the admin gets jobs, workflows, crons and search indexes on dashboard routes", async () => {
  await admin.request("POST", "/api/jobs", { name: "placeOrder", delay_secs: 3600 });
  for (const [operations, other] of [
    ["jobs", "/api/jobs"],
    ["workflows", "/api/workflows"],
    ["scheduler", "/api/scheduler"],
  ])
    expect((await admin.request("GET", `/api/admin/ops/${operations}`)).body).toEqual(
      (await admin.request("GET", String(other))).body,
    );
  expect((await admin.request("GET", "/api/admin/ops/jobs")).body).toMatchObject([
    { name: "placeOrder" },
  ]);
  expect(JSON.parse((await admin.request("GET", "/api/admin/ops/search_indexes")).text)).toEqual([
    { entity: "Product", text: ["name"], facets: ["brand"], sortable: [] },
  ]);
});

test("the admin can see the sessions of a user, without their tokens", async () => {
  const user = await TestClient.guest(server.url);
  const path = `/api/admin/auth/sessions?user_id=${user.userId}`;
  const { text, body } = await admin.request("GET", path);
  expect(body).toMatchObject([{ user_id: user.userId, is_guest: true, tenant_id: null }]);
  expect(text).not.toContain(String(user.token));
  expect((await admin.request("GET", "/api/admin/auth/sessions?limit=1")).body).toMatchObject([
    { user_id: user.userId },
  ]);
  expect((await admin.request("GET", "/api/admin/auth/accounts")).text).toBe("[]");
  expect((await admin.request("GET", "/api/admin/auth/accounts?limit=0")).status).toBe(400);
});

test("the admin can read, set and delete the cache entries of functions", async () => {
  const path = `/api/cache/${encodeURIComponent("top/10")}`;
  expect((await guest.request("POST", "/api/fn/top", {})).text).toBe('["a"]');
  expect((await admin.request("GET", path)).body).toEqual({ key: "top/10", value: ["a"] });
  const put = { key: "top/10", value: ["b", null], ttl_secs: 60 };
  expect((await admin.request("POST", "/api/cache", put)).body).toEqual({
    key: "top/10",
    stored: true,
  });
  expect((await guest.request("POST", "/api/fn/top", {})).text).toBe('["b",null]');
  const { ttl_secs: _, ...forLong } = put;
  expect((await admin.request("POST", "/api/cache", forLong)).status).toBe(200);
  expect((await admin.request("DELETE", path)).body).toEqual({ deleted: true });
  expect((await admin.request("GET", path)).status).toBe(404);
  expect((await guest.request("POST", "/api/fn/top", {})).text).toBe('["a"]');
  for (const [change, field] of [
    [{ key: "" }, "key"],
    [{ value: "x".repeat(1024 * 1024) }, "value"],
    [{ ttl_secs: 0 }, "ttl_secs"],
    [{ cmd: "SET" }, "cmd"],
  ] as const)
    expect(await admin.request("POST", "/api/cache", { ...put, ...change })).toMatchObject({
      status: 400,
      body: { error: { code: "INVALID_DATA", field } },
    });
});

test("programs of the admin exchange messages through channels", async () => {
  const publish = (body: object): Promise<Answer> =>
    admin.request("POST", "/api/pubsub/publish", body);
  expect((await publish({ channel: "orders", message: "first" })).body).toEqual({
    ok: true,
    subscribers: 0,
  });
  const stop = new AbortController();
  const followed = await fetch(`${server.url}/api/pubsub/follow/orders`, {
    headers: { Authorization: `Bearer ${ADMIN_TOKEN}` },
    signal: stop.signal,
  });
  expect((await publish({ channel: "orders", message: "second" })).body).toMatchObject({
    subscribers: 1,
  });
  await publish({ channel: "other", message: "not for them" });
  await publish({ channel: "orders", message: "third" });
  let text = "";
  for await (const chunk of followed.body ?? []) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("third")) break;
  }
  stop.abort();
  expect(
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    { channel: "orders", message: "second" },
    { channel: "orders", message: "third" },
  ]);
  const result = [{ message: "second" }, { message: "third" }];
  expect((await admin.request("GET", "/api/pubsub/history/orders?limit=2")).body).toMatchObject({
    ok: true,
    result,
  });
  expect((await admin.request("GET", "/api/pubsub/channels")).body).toMatchObject({
    result: [{ channel: "orders" }, { channel: "other", subscribers: 0 }],
  });
  for (const [body, field] of [
    [{ message: "x" }, "channel"],
    [{ channel: "a", message: { x: 1 } }, "message"],
    [{ channel: "a", message: "x".repeat(64 * 1024 + 1) }, "message"],
    [{ channel: "a", message: "x", to: "b" }, "to"],
  ] as const)
    expect(await publish(body)).toMatchObject({
      status: 400,
      body: { error: { code: "INVALID_DATA", field } },
    });
});

test("only the admin can use these routes", async () => {
  for (const path of [
    ...["jobs", "workflows", "scheduler", "search_indexes"].map((name) => `ops/${name}`),
    ...["sessions", "accounts"].map((name) => `auth/${name}`),
  ])
    expect((await guest.request("GET", `/api/admin/${path}`)).status).toBe(403);
  for (const path of ["/api/openapi.json", "/api/cache/top", "/api/pubsub/channels"])
    expect((await guest.request("GET", path)).status).toBe(403);
  expect((await admin.request("GET", "/api/openapi.json")).body).toMatchObject({
    openapi: "3.1.0",
    info: { title: "shop" },
  });
});
