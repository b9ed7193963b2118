import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { action, internalMutation, internalQuery, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { loadApp } from "@pylonsync/server";
import { TestClient, type Answer } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const cyclic = (): object => {
  const value: { rows: unknown[] } = { rows: [] };
  value.rows.push({ owner: value });
  return value;
};
class Secretive {
  readonly #text = "hidden";
  get length(): number {
    return this.#text.length;
  }
}

/** Values that JSON can't represent, and the path that the log names. */
const UNENCODABLE: Readonly<Record<string, readonly [make: () => unknown, place: string]>> = {
  bigint: [() => ({ items: [{ total: 1 }, { total: 2 }, { total: 3n }] }), "result.items[2].total"],
  cycle: [cyclic, "result.rows[0].owner"],
  throwingToJson: [
    () => ({
      at: {
        toJSON: () => {
          throw new Error("no");
        },
      },
    }),
    "result.at",
  ],
  bigintOfToJson: [() => ({ at: { toJSON: () => 5n } }), "result.at"],
  throwingGetter: [
    () => ({
      get total(): never {
        throw new Error("no");
      },
    }),
    "result.total",
  ],
  map: [() => ({ "by day": new Map([["a", 1]]) }), 'result["by day"]'],
  set: [() => [new Set([1])], "result[0]"],
  function: [() => ({ on: { run: () => 1 } }), "result.on.run"],
  symbol: [() => Symbol("s"), "result"],
  nan: [() => ({ mean: Number.NaN }), "result.mean"],
  infinity: [() => [1, Infinity], "result[1]"],
  date: [() => ({ at: new Date("never") }), "result.at"],
  promise: [() => ({ later: Promise.resolve(1) }), "result.later"],
  bytes: [() => ({ file: new Uint8Array(3) }), "result.file"],
  error: [() => ({ failure: new Error("x") }), "result.failure"],
  opaque: [() => ({ secret: new Secretive() }), "result.secret"],
  deep: [
    () => {
      let value: unknown = 1;
      for (let level = 0; level < 5_000; level += 1) value = [value];
      return value;
    },
    "result[0][0]",
  ],
};
const unencodable = (name: string): unknown => UNENCODABLE[name]?.[0]();

const systemError = (): Promise<unknown> => readFile("/nowhere/secret-path");
const withCode = (code: string): Error =>
  Object.assign(new Error("connect to db.internal:5432 as root"), { code });

const app = appOf(
  buildManifest({
    name: "answers",
    version: "1.0.0",
    access: "public",
    entities: [
      entity(
        "Item",
        {
          n: field.int(),
          f: field.float().optional(),
          name: field.string().optional().unique(),
          parentId: field.id("Item").optional(),
        },
        { relations: [{ name: "parent", target: "Item", field: "parentId" }] },
      ),
    ],
  }),
  {
    readBad: query({ args: { kind: v.string() }, handler: (_ctx, { kind }) => unencodable(kind) }),
    writeBad: mutation({
      args: { kind: v.string() },
      handler: async (ctx, { kind }) => {
        await ctx.db.insert("Item", { n: 1 });
        return unencodable(kind);
      },
    }),
    actBad: action({ args: { kind: v.string() }, handler: (_ctx, { kind }) => unencodable(kind) }),
    hookBad: action({
      args: { rawBody: v.string() },
      handler: (ctx) => unencodable(ctx.request?.rawBody ?? ""),
    }),
    innerRead: internalQuery({
      args: { kind: v.string() },
      handler: (_ctx, { kind }) => unencodable(kind),
    }),
    innerWrite: internalMutation({
      args: { kind: v.string() },
      handler: async (ctx, { kind }) => {
        await ctx.db.insert("Item", { n: 1 });
        return unencodable(kind);
      },
    }),
    runsRead: action({
      args: { kind: v.string() },
      handler: (ctx, args) => ctx.runQuery("innerRead", args),
    }),
    runsWrite: action({
      args: { kind: v.string() },
      handler: (ctx, args) => ctx.runMutation("innerWrite", args),
    }),
    plain: query({
      handler: () => ({
        at: new Date(0),
        missing: undefined,
        list: [undefined, null],
        bare: Object.assign(Object.create(null) as object, { a: 1 }),
        url: new URL("https://example.com/"),
        zero: -0,
        same: Array.from({ length: 2 }, () => SHARED),
      }),
    }),
    throwsEnoent: action({ handler: systemError }),
    throwsCode: action({
      args: { code: v.string() },
      handler: (_ctx, { code }) => Promise.reject(withCode(code)),
    }),
    throwsText: mutation({
      handler: async (ctx) => {
        await ctx.db.insert("Item", { n: 1 });
        // oxlint-disable-next-line typescript/only-throw-error -- an app may.
        throw { code: "TEXT", message: "connect to db.internal:5432" };
      },
    }),
    throwsOwn: mutation({
      handler: (ctx) => {
        throw ctx.error("SOLD_OUT", "Too late.");
      },
    }),
    throwsNoCode: query({
      handler: (ctx) => {
        throw ctx.error(5n as never, "db.internal");
      },
    }),
    throwsUnique: mutation({
      handler: async (ctx) => {
        await ctx.db.insert("Item", { n: 1, name: "one" });
        await ctx.db.insert("Item", { n: 2, name: "one" });
      },
    }),
    throwsQuery: query({ handler: (ctx) => ctx.db.query("Item", { nope: 1 }) }),
    add: mutation({
      args: { n: v.int() },
      handler: (ctx, { n }) => ctx.db.insert("Item", { n }),
    }),
    hookPost: action({
      args: { rawBody: v.string() },
      handler: (ctx) => ctx.auth,
    }),
    hookGet: action({
      args: { rawBody: v.string() },
      webhook: { methods: ["GET"] },
      handler: async (ctx) => {
        await ctx.runMutation("add", { n: 99 });
        return { ...ctx.auth, authorization: ctx.request?.headers["authorization"] ?? null };
      },
    }),
    hookBearer: action({
      args: { rawBody: v.string() },
      webhook: { methods: ["GET", "POST"], bearer: true },
      handler: (ctx) => ctx.auth,
    }),
    changesId: mutation({
      args: {},
      handler: (ctx) => ctx.db.update("Item", "same", { id: "other" }),
    }),
    clear: mutation({
      args: {},
      handler: async (ctx) => {
        for (const { id } of await ctx.db.list("Item")) await ctx.db.delete("Item", String(id));
      },
    }),
    count: query({ handler: (ctx) => ctx.db.count("Item") }),
    writesObject: action({
      handler: (ctx) => ctx.stream.write({ a: 1 } as never),
    }),
    writesLate: action({
      handler: (ctx) => {
        setTimeout(() => void ctx.stream.write("late"), 1);
        return "done";
      },
    }),
  },
);
const SHARED = { shared: true };

let server: TestServer;
let client: TestClient;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

const call = (name: string, args: unknown = {}, headers = {}): Promise<Answer> =>
  client.request("POST", `/api/fn/${name}`, args, headers);
const lastError = async (): Promise<{ function?: string; error?: string }> =>
  JSON.parse((await admin.request("GET", "/api/admin/logs?level=error&limit=1")).text) as object;

describe("L3: a result that JSON can't represent", () => {
  test.each(Object.entries(UNENCODABLE))("%s", async (kind, [, place]) => {
    for (const name of ["readBad", "writeBad", "actBad", "runsRead", "runsWrite"]) {
      const answer = await call(name, { kind }, { Origin: "http://localhost:1" });
      expect([name, answer.status, answer.body]).toMatchObject([
        name,
        500,
        { error: { code: "HANDLER_ERROR", request_id: expect.any(String) } },
      ]);
      expect(answer.text).not.toContain("result");
      const logged = await lastError();
      expect(logged.error).toContain(`${place}`);
      const inner: Readonly<Record<string, string>> = {
        runsRead: "innerRead",
        runsWrite: "innerWrite",
      };
      expect(logged.function).toBe(inner[name] ?? name);
    }
    const hook = await client.request("POST", "/api/webhooks/hookBad", kind);
    expect(hook).toMatchObject({ status: 500, body: { error: { code: "HANDLER_ERROR" } } });
    const stream = await call("readBad", { kind }, { Accept: "text/event-stream" });
    expect(stream.text).toMatch(/^event: error\ndata: \{"code":"HANDLER_ERROR"/);
    expect((await call("count")).text).toBe("0");
  });

  test("values that JSON can represent are returned unchanged", async () => {
    expect((await call("plain")).text).toBe(
      '{"at":"1970-01-01T00:00:00.000Z","list":[null,null],"bare":{"a":1},' +
        '"url":"https://example.com/","zero":0,"same":[{"shared":true},{"shared":true}]}',
    );
  });

  test("a stream accepts only text, and nothing after its end", async () => {
    const headers = { Accept: "text/event-stream" };
    expect((await call("writesObject", {}, headers)).text).toContain('"HANDLER_ERROR"');
    expect((await call("writesLate", {}, headers)).text).toBe('event: result\ndata: "done"\n\n');
  });
});

test("L3: no path responds with an error page of the runtime", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-answers-"));
  const files: Readonly<Record<string, string>> = {
    "app.ts":
      'import { buildManifest, entity, field } from "@pylonsync/sdk";\n' +
      'export default buildManifest({ name: "a", version: "1", access: "public", entities: ' +
      '[entity("T", { t: field.string() })] });',
    "web/index.html": "<!doctype html><title>Hi</title>",
    "elsewhere/inside.txt": "inside",
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  mkdirSync(join(dir, "public"));
  symlinkSync(join(dir, "elsewhere"), join(dir, "public", "linked.dir"));
  const own = await startServer(await loadApp(dir, { dev: false }));
  try {
    for (const path of ["/linked.dir", "/linked.dir/inside.txt", "/linked.dir/"]) {
      const response = await fetch(own.url + path);
      const text = await response.text();
      expect(text).not.toContain(dir);
      expect([path, response.status < 500]).toEqual([path, true]);
    }
  } finally {
    await own.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

describe("L4: what a handler throws", () => {
  test.each([
    ["throwsEnoent", {}],
    ["throwsCode", { code: "ECONNREFUSED" }],
    ["throwsCode", { code: "ERR_INVALID_URL" }],
    ["throwsCode", { code: "NOT_FOUND" }],
    ["throwsCode", { code: "23505" }],
    ["throwsText", {}],
    ["throwsNoCode", {}],
  ])("%s %j is an error of the app: logged, and not shown to the caller", async (name, args) => {
    const answer = await call(name, args);
    expect(answer).toMatchObject({
      status: 500,
      body: { error: { code: "HANDLER_ERROR", message: "Internal handler error" } },
    });
    expect(answer.text).not.toMatch(/secret-path|db\.internal/);
    expect(await lastError()).toMatchObject({ function: name });
    const stream = await call(name, args, { Accept: "text/event-stream" });
    expect(stream.text).toContain("HANDLER_ERROR");
    expect(stream.text).not.toMatch(/secret-path|db\.internal/);
  });

  test("ctx.error and errors of the database are shown to the caller", async () => {
    expect(await call("throwsOwn")).toMatchObject({
      status: 400,
      body: { error: { code: "SOLD_OUT", message: "Too late." } },
    });
    expect(await call("throwsUnique")).toMatchObject({
      status: 409,
      body: { error: { code: "UNIQUE_VIOLATION" } },
    });
    expect(await call("throwsQuery")).toMatchObject({
      status: 400,
      body: { error: { code: "INVALID_COLUMN", field: "nope" } },
    });
    expect((await call("count")).text).toBe("0");
  });

  test("in dev mode the caller sees the message", async () => {
    const dev = await startServer(app, { PYLON_DEV_MODE: "true", PYLON_LOG_LEVEL: "error" });
    try {
      const guest = await TestClient.guest(dev.url);
      const thrown = await guest.request("POST", "/api/fn/throwsCode", { code: "ECONNREFUSED" });
      expect(thrown.body["error"]).toMatchObject({
        code: "HANDLER_ERROR",
        message: "Internal handler error: connect to db.internal:5432 as root",
      });
      const returned = await guest.request("POST", "/api/fn/readBad", { kind: "bigint" });
      expect(returned.body["error"]).toMatchObject({
        message: expect.stringContaining("result.items[2].total"),
      });
    } finally {
      await dev.stop();
    }
  });
});

describe("L5: an idempotency key belongs to one caller and one body", () => {
  const key = { "Idempotency-Key": "key-1" };
  const changes = (opId: string, rowId: string, n: number): object => ({
    changes: [{ op_id: opId, entity: "Item", row_id: rowId, kind: "insert", data: { n } }],
    results: true,
  });

  test("an anonymous caller never gets another's response, and loses no write", async () => {
    const [one, other] = [new TestClient(server.url, null), new TestClient(server.url, null)];
    const first = await one.request("POST", "/api/entities/Item", { n: 10 }, key);
    const second = await other.request("POST", "/api/entities/Item", { n: 10 }, key);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body["id"]).not.toBe(first.body["id"]);
    const [add1, add2] = [
      await one.request("POST", "/api/fn/add", { n: 10 }, key),
      await other.request("POST", "/api/fn/add", { n: 10 }, key),
    ];
    expect(add2.text).not.toBe(add1.text);
    await one.request("POST", "/api/sync/push", changes("op", "anonymous-1", 10));
    const pushed = await other.request("POST", "/api/sync/push", changes("op", "anonymous-2", 10));
    expect(pushed.body["results"]).toEqual([{ op_id: "op", status: "applied", id: "anonymous-2" }]);
    for (const id of ["anonymous-1", "anonymous-2"])
      expect((await one.request("GET", `/api/entities/Item/${id}`)).status).toBe(200);
  });

  test("an anonymous client that repeats an insert is told that the row exists", async () => {
    const anonymous = new TestClient(server.url, null);
    const push = (n: number): Promise<Answer> =>
      anonymous.request("POST", "/api/sync/push", changes("again", "anonymous-3", n));
    expect((await push(1)).body["results"]).toMatchObject([{ status: "applied" }]);
    expect((await push(1)).body["results"]).toMatchObject([{ status: "deduped" }]);
    expect((await push(2)).body["results"]).toMatchObject([
      { status: "refused", error: { code: "ID_TAKEN" } },
    ]);
  });

  test("a user does not get the response of another user", async () => {
    const other = await TestClient.guest(server.url);
    const send = (who: TestClient): Promise<Answer> =>
      who.request("POST", "/api/entities/Item", { n: 11 }, { "Idempotency-Key": "key-2" });
    const first = await send(client);
    expect((await send(other)).body["id"]).not.toBe(first.body["id"]);
    expect((await send(client)).body["id"]).toBe(first.body["id"]);
  });

  const ROUTES: readonly (readonly [
    what: string,
    method: string,
    path: string,
    bodies: readonly [object, object],
  ])[] = [
    [
      "an insert",
      "POST",
      "/api/entities/Item",
      [
        { n: 20, name: "a" },
        { n: 21, name: "a" },
      ],
    ],
    ["an update", "PATCH", "/api/entities/Item/kept", [{ n: 22 }, { n: 23 }]],
    ["a mutation", "POST", "/api/fn/add", [{ n: 24 }, { n: 25 }]],
    [
      "a transaction",
      "POST",
      "/api/transact",
      [
        [{ op: "insert", entity: "Item", data: { n: 26 } }],
        [{ op: "delete", entity: "Item", id: "kept" }],
      ],
    ],
    [
      "a batch",
      "POST",
      "/api/batch",
      [
        {
          operations: [
            { op: "insert", entity: "Item", data: { n: 27 } },
            { op: "insert", entity: "Item", data: { n: "no" } },
          ],
        },
        { operations: [{ op: "delete", entity: "Item", id: "kept" }] },
      ],
    ],
    [
      "a push",
      "POST",
      "/api/sync/push",
      [changes("op-9", "pushed", 28), changes("op-9", "pushed", 29)],
    ],
  ];
  test.each(ROUTES)("%s", async (what, method, path, [body, another]) => {
    const who = path === "/api/batch" ? admin : client;
    if (path.endsWith("/kept")) await client.insert("Item", { id: "kept", n: 1 });
    const headers = { "Idempotency-Key": `key of ${what}` };
    const first = await who.request(method, path, body, headers);
    expect(first.status).toBeLessThan(300);
    const before = (await call("count")).text;
    const again = await who.request(method, path, body, headers);
    const reused = await who.request(method, path, another, headers);
    if (path === "/api/sync/push") {
      expect(again.body["results"]).toMatchObject([{ status: "deduped", id: "pushed" }]);
      expect(reused.body["results"]).toMatchObject([
        { status: "refused", error: { code: "IDEMPOTENCY_KEY_REUSED", field: "op_id" } },
      ]);
    } else {
      expect([again.status, again.text]).toEqual([first.status, first.text]);
      expect(reused).toMatchObject({
        status: 409,
        body: { error: { code: "IDEMPOTENCY_KEY_REUSED", field: "Idempotency-Key" } },
      });
    }
    expect((await call("count")).text).toBe(before);
  });

  test("the keys of an object may come in another order", async () => {
    const send = (body: string): Promise<Answer> =>
      client.request("POST", "/api/entities/Item", body, { "Idempotency-Key": "key-3" });
    const first = await send('{"n":30,"name":"order"}');
    expect(await send('{"name":"order","n":30}')).toMatchObject({
      status: 201,
      body: { id: first.body["id"] },
    });
  });

  test("a database of an older version opens and recognizes its operations", async () => {
    const dir = mkdtempSync(join(tmpdir(), "pylon-ops-"));
    const env = { PYLON_DB_PATH: join(dir, "app.db"), PYLON_IN_MEMORY: "0" };
    let own = await startServer(app, env);
    try {
      const guest = await TestClient.guest(own.url);
      await guest.request("POST", "/api/sync/push", changes("op-1", "old", 1));
      await own.stop();
      const db = new Database(env.PYLON_DB_PATH);
      db.run('ALTER TABLE "_pylon_ops" DROP COLUMN "request"');
      db.close();
      own = await startServer(app, env);
      const later = new TestClient(own.url, guest.token);
      const again = await later.request("POST", "/api/sync/push", changes("op-1", "old", 1));
      expect(again.body["results"]).toMatchObject([{ status: "deduped", id: "old" }]);
    } finally {
      await own.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("P5: a webhook", () => {
  const hook = (method: string, name: string, headers: Record<string, string>): Promise<Answer> =>
    new TestClient(server.url, null).request(method, `/api/webhooks/${name}`, undefined, headers);

  test("never runs as the owner of the session cookie", async () => {
    for (const cookie of ["pylon_session", "answers_session", "__Host-pylon_session"]) {
      const headers = { Cookie: `${cookie}=${client.token ?? ""}` };
      expect(await hook("GET", "hookGet", headers)).toMatchObject({
        status: 200,
        body: { userId: null, isGuest: false },
      });
      expect((await hook("GET", "hookBearer", headers)).body).toMatchObject({ userId: null });
    }
    const signedIn = await fetch(`${server.url}/api/auth/guest`, { method: "POST" });
    const [own = ""] = (signedIn.headers.get("set-cookie") ?? "").split(";");
    const headers = { Cookie: own, "Sec-Fetch-Site": "cross-site" };
    expect((await hook("GET", "hookGet", headers)).body["userId"]).toBe(null);
    expect((await hook("POST", "hookPost", { ...headers, Origin: server.url })).body).toMatchObject(
      {
        userId: null,
      },
    );
  });

  test("accepts the methods that it declares, by default POST, and never HEAD", async () => {
    const before = (await call("count")).text;
    for (const [method, name] of [
      ["GET", "hookPost"],
      ["PUT", "hookPost"],
      ["POST", "hookGet"],
      ["DELETE", "hookGet"],
      ["HEAD", "hookGet"],
      ["HEAD", "hookPost"],
    ] as const) {
      const answer = await hook(method, name, {});
      expect([method, name, answer.status]).toEqual([method, name, 405]);
      if (method !== "HEAD")
        expect(answer.body["error"]).toMatchObject({ code: "METHOD_NOT_ALLOWED" });
    }
    expect((await call("count")).text).toBe(before);
    expect((await hook("POST", "hookPost", {})).status).toBe(200);
  });

  test("passes on the Authorization header, unless it declares bearer", async () => {
    const foreign = { Authorization: "Bearer the-provider's-secret" };
    expect((await hook("GET", "hookGet", foreign)).body).toMatchObject({
      userId: null,
      authorization: foreign.Authorization,
    });
    const own = { Authorization: `Bearer ${client.token ?? ""}` };
    expect((await hook("GET", "hookGet", own)).body["userId"]).toBe(null);
    expect((await hook("POST", "hookBearer", own)).body["userId"]).toBe(client.userId);
    expect((await hook("POST", "hookBearer", foreign)).status).toBe(401);
  });

  test("rejects unknown methods and options, and is only for actions", () => {
    const declare = (webhook: unknown) => () => action({ webhook, handler: () => 1 } as never);
    expect(declare({ methods: ["get"] })).toThrow("webhook.methods must be a list of GET, POST");
    expect(declare({ metods: ["GET"] })).toThrow('webhook has no option "metods"');
    expect(declare({ bearer: "yes" })).toThrow("webhook.bearer");
    expect(() => query({ webhook: {}, handler: () => 1 } as never)).toThrow("only an action");
  });
});

describe("Q7: invalid input never causes a 5xx, and other operations still succeed", () => {
  const insert = (id: string): object => ({ op: "insert", entity: "Item", data: { id, n: 1 } });
  const NUL = "a\0b";

  test.each([7, ["a"], { toString: 1 }, NUL, "", "a b", true].map((id) => [id]))(
    "%j as an id",
    async (id) => {
      const wrong = { op: "insert", entity: "Item", data: { id, n: 1 } };
      const transact = await client.request("POST", "/api/transact", [insert("t-1"), wrong]);
      expect(transact).toMatchObject({
        status: 400,
        body: {
          committed: false,
          results: [{ ok: true }, { ok: false, error: { code: "INVALID_ID", field: "id" } }],
        },
      });
      const key = `b-${crypto.randomUUID()}`;
      const batch = await admin.request("POST", "/api/batch", {
        operations: [insert(`${key}-1`), wrong, insert(`${key}-2`)],
      });
      expect(batch.body).toMatchObject({ succeeded: 2, failed: 1 });
      expect(await client.request("POST", "/api/entities/Item", { id, n: 1 })).toMatchObject({
        status: 400,
        body: { error: { code: "INVALID_ID", field: "id" } },
      });
      if (typeof id !== "string") return;
      for (const op of ["update", "delete"]) {
        const named = [{ op, entity: "Item", id, data: { n: 2 } }];
        expect((await client.request("POST", "/api/transact", named)).body).toMatchObject({
          results: [{ ok: false, error: { code: "INVALID_ID" } }],
        });
      }
      const pushed = await client.request("POST", "/api/sync/push", {
        results: true,
        changes: [
          ...["insert", "update", "delete"].map((kind) => ({
            entity: "Item",
            row_id: id,
            kind,
            data: { n: 1 },
          })),
          { entity: "Item", row_id: `${key}-3`, kind: "insert", data: { n: 1 } },
        ],
      });
      const refused = { status: "refused", error: { code: "INVALID_ID", field: "row_id" } };
      expect(pushed).toMatchObject({
        status: 200,
        body: { results: [refused, refused, refused, { status: "applied" }] },
      });
      const link = { entity: "Item", id, relation: "owner", target_id: "x" };
      expect((await client.request("POST", "/api/link", link)).body["error"]).toMatchObject({
        code: "INVALID_ID",
        field: "id",
      });
    },
  );

  const token = (...parts: readonly unknown[]): string =>
    Buffer.from(JSON.stringify(parts)).toString("base64url");
  test.each([
    ["GET", "/api/sync/pull?limit=1.5", undefined, "INVALID_QUERY", "limit"],
    ["GET", "/api/sync/pull?limit=-1", undefined, "INVALID_QUERY", "limit"],
    ["GET", `/api/sync/pull?page=${token(0, "Nope", null)}`, undefined, "INVALID_QUERY", "page"],
    ["GET", `/api/sync/pull?page=${token(0, "Item", NUL)}`, undefined, "INVALID_QUERY", "page"],
    ["GET", "/api/entities/Item/cursor?after=%00", undefined, "INVALID_QUERY", "after"],
    ["POST", "/api/query/Item", { $order: [[{ toString: 1 }, "asc"]] }, "INVALID_QUERY", "$order"],
    ["POST", "/api/query/Item", { id: { toString: 1 } }, "INVALID_QUERY", "id.toString"],
    [
      "POST",
      "/api/aggregate/Item",
      { count: true, groupBy: [{ field: "n", bucket: { toString: 1 } }] },
      "INVALID_QUERY",
      "groupBy[0].bucket",
    ],
    ["POST", "/api/query/Item", { name: NUL }, "INVALID_QUERY", "name"],
  ])("%s %s %j", async (method, path, body, code, at) => {
    expect(await client.request(method, path, body)).toMatchObject({
      status: 400,
      body: { error: { code, field: at } },
    });
  });

  test("a missing or invalid Host header", async () => {
    const { port } = server.server;
    for (const host of ["[", "", "a b", "%zz"]) {
      for (const [line, status] of [
        ["GET /api/entities/Item?limit=1 HTTP/1.1", 200],
        ["GET /api/sync/pull?since=0 HTTP/1.1", 200],
        ["GET /nowhere HTTP/1.1", 404],
        ["GET /events HTTP/1.1", 200],
        ["GET /ws HTTP/1.1", 426],
      ] as const) {
        const text = await rawAnswer(port, `${line}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
        expect([host, line, text.split("\r\n")[0]]).toEqual([
          host,
          line,
          expect.stringContaining(` ${status} `),
        ]);
      }
    }
  });
});

/** The response to raw bytes that no client would send, up to the end of its headers. */
async function rawAnswer(port: number, request: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (opened) => void opened.write(request),
      data: (_socket, bytes) => {
        text += bytes.toString();
        if (text.includes("\r\n\r\n")) resolve(text);
      },
      close: () => resolve(text),
    },
  });
  const answer = await promise;
  socket.end();
  return answer;
}

describe("Q8: nothing is silently ignored", () => {
  test("a patch with a different id is rejected on every path", async () => {
    await client.insert("Item", { id: "same", n: 1 });
    const error = { code: "READONLY_FIELD", field: "id" };
    const patch = { id: "other", n: 2 };
    expect(await client.request("PATCH", "/api/entities/Item/same", patch)).toMatchObject({
      status: 400,
      body: { error },
    });
    const operation = { op: "update", entity: "Item", id: "same", data: patch };
    expect((await client.request("POST", "/api/transact", [operation])).body).toMatchObject({
      results: [{ ok: false, error }],
    });
    const change = { entity: "Item", row_id: "same", kind: "update", data: patch };
    const push = { changes: [change], results: true };
    expect((await client.request("POST", "/api/sync/push", push)).body["results"]).toMatchObject([
      { status: "refused", error },
    ]);
    expect((await call("changesId")).body["error"]).toMatchObject(error);
    const own = { id: "same", n: 3 };
    expect((await client.request("PATCH", "/api/entities/Item/same", own)).status).toBe(200);
    expect((await client.request("GET", "/api/entities/Item/same")).body["n"]).toBe(3);
  });

  test("an unknown key of an include is rejected", async () => {
    const graph = (include: unknown): Promise<Answer> =>
      client.request("POST", "/api/query", { Item: { include: { parent: include } } });
    expect((await graph({})).status).toBe(200);
    expect((await graph({ include: { parent: { where: { n: 1 } } } })).status).toBe(200);
    for (const [include, at] of [
      [{ include: { parent: { offset: 1 } } }, "Item.include.parent.include.parent.offset"],
      [{ where: { n: {} } }, "Item.include.parent.where.n"],
      [{ limit: 1 }, "Item.include.parent.limit"],
      [false, "Item.include.parent"],
    ])
      expect((await graph(include)).body["error"]).toMatchObject({
        code: "INVALID_QUERY",
        field: at,
      });
  });

  test("a sum is exact, or rejected", async () => {
    const own = await startServer(app);
    try {
      const guest = await TestClient.guest(own.url);
      const sum = (): Promise<Answer> =>
        guest.request("POST", "/api/aggregate/Item", { sum: ["n", "f"] });
      const top = Number.MAX_SAFE_INTEGER;
      for (const n of [top, 1, -top]) await guest.insert("Item", { n });
      expect((await sum()).body["rows"]).toEqual([{ sum_n: 1, sum_f: null }]);
      await guest.insert("Item", { n: top });
      expect(await sum()).toMatchObject({
        status: 400,
        body: { error: { code: "INVALID_QUERY", field: "sum_n" } },
      });
      // More than 64 bits.
      const row = { op: "insert", entity: "Item", data: { n: top } };
      for (const length of [1000, 30])
        await guest.request(
          "POST",
          "/api/transact",
          Array.from({ length }, () => row),
        );
      expect((await sum()).body["error"]).toMatchObject({ code: "INVALID_QUERY" });
      await guest.request("POST", "/api/fn/clear", {});
      for (let row = 0; row < 2; row += 1) await guest.insert("Item", { n: 1, f: 1.7e308 });
      expect((await sum()).body["error"]).toMatchObject({ code: "INVALID_QUERY" });
    } finally {
      await own.stop();
    }
  });

  test("a body that is not UTF-8 is rejected", async () => {
    for (const path of ["/api/entities/Item", "/api/webhooks/hookPost"]) {
      const response = await fetch(server.url + path, {
        method: "POST",
        body: new Uint8Array([0x7b, 0x22, 0x6e, 0xe4, 0x22, 0x7d]),
      });
      expect([path, response.status, await response.json()]).toMatchObject([
        path,
        400,
        { error: { code: "INVALID_DATA", message: expect.stringContaining("UTF-8") } },
      ]);
    }
    for (const [type, head, tail] of [
      ["application/json", '{"entities":{"Item":[{"n":1,"name":"', '"}]}}'],
      ["application/x-ndjson", '{"entity":"Item","row":{"n":1,"name":"', '"}}\n'],
    ] as const) {
      const response = await fetch(`${server.url}/api/import`, {
        method: "POST",
        headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, "Content-Type": type },
        body: Buffer.concat([Buffer.from(head), Buffer.from([0xe4]), Buffer.from(tail)]),
      });
      expect(await response.text()).toContain("INVALID_JSON");
    }
    const text = "naïve \u{1F600} \uFFFD";
    const id = await client.insert("Item", { n: 1, name: text });
    expect((await client.request("GET", `/api/entities/Item/${id}`)).body["name"]).toBe(text);
  });
});

test("U: in dev mode the error for an unknown function suggests a similar name", async () => {
  const dev = await startServer(app, { PYLON_DEV_MODE: "true" });
  try {
    const guest = await TestClient.guest(dev.url);
    const hint = async (url: string, name: string): Promise<unknown> =>
      (await new TestClient(url, guest.token).request("POST", `/api/fn/${name}`, {})).body["error"];
    expect(await hint(dev.url, "throwsOwm")).toMatchObject({ hint: 'Did you mean "throwsOwn"?' });
    // An internal function is never suggested.
    expect(await hint(dev.url, "innerReadd")).toMatchObject({
      code: "FN_NOT_FOUND",
      hint: expect.not.stringContaining("innerRead"),
    });
    expect((await call("throwsOwm")).body["error"]).toMatchObject({
      hint: expect.not.stringContaining("throwsOwn"),
    });
  } finally {
    await dev.stop();
  }
});
