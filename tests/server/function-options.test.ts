import { action, internalQuery, middleware, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const manifest = buildManifest({
  name: "function-options",
  version: "1.0.0",
  access: "public",
  entities: [
    entity("Member", { teamId: field.string(), userId: field.string() }),
    entity("Item", { n: field.int() }),
  ],
});

const adds = middleware(async ({ ctx, args, name, next }) => {
  if (ctx.auth.userId === null) throw ctx.error("AUTH_REQUIRED", "Sign in first.");
  return next({ caller: ctx.auth.userId, seen: `${name} ${JSON.stringify(args)}` });
});
const failsLate = middleware(async ({ next }) => {
  await next();
  throw new Error("after the handler");
});
const MEMBER = "exists(Member, teamId == input.teamId && userId == auth.userId)";

const app = appOf(manifest, {
  open: query({ handler: () => "open" }),
  forUsers: query({ auth: "user", args: { n: v.int() }, handler: () => "in" }),
  forAdmin: query({ auth: "admin", handler: () => "in" }),
  forMembers: mutation({
    auth: MEMBER,
    args: { teamId: v.string() },
    handler: (ctx) => ctx.db.insert("Item", { n: 1 }),
  }),
  membersSee: query({
    auth: MEMBER,
    args: { teamId: v.string() },
    handler: (ctx) => ctx.db.count("Item"),
  }),
  runsForAdmin: action({ handler: (ctx) => ctx.runQuery("forAdmin") }),
  hidden: internalQuery({ handler: () => "hidden" }),
  alsoHidden: query({ internal: true, handler: () => "hidden" }),
  runsHidden: action({
    handler: async (ctx) => [await ctx.runQuery("hidden"), await ctx.runQuery("alsoHidden")],
  }),
  rare: query({ rateLimit: { max: 2, windowSecs: 3600 }, handler: () => "rare" }),
  short: action({ timeoutSecs: 0.05, handler: () => new Promise(() => undefined) }),
  withCaller: query({
    middleware: [adds],
    args: { n: v.int() },
    handler: (ctx) => ({ caller: ctx.caller, seen: ctx.seen, count: typeof ctx.db.count }),
  }),
  rollsBack: mutation({
    middleware: [failsLate],
    handler: (ctx) => ctx.db.insert("Item", { n: 2 }),
  }),
  keyed: action({
    secrets: ["SOME_KEY", "NOT_SET"],
    handler: (ctx) => {
      const other: Readonly<Record<string, string>> = ctx.secrets;
      const read = (name: string): string => {
        try {
          return other[name] ?? "";
        } catch (error) {
          return error instanceof Error ? error.constructor.name : "";
        }
      };
      return [ctx.secrets.SOME_KEY, read("NOT_SET"), read("OTHER_KEY"), read("PYLON_ADMIN_TOKEN")];
    },
  }),
  logs: action({
    handler: (ctx) => {
      ctx.log.error("stock is low", { item: "milk", left: 3 });
      return null;
    },
  }),
});

let server: TestServer;
let ann: TestClient;
let nobody: TestClient;
let admin: TestClient;

beforeAll(async () => {
  server = await startServer(app, { SOME_KEY: "s1", OTHER_KEY: "s2" });
  ann = await TestClient.guest(server.url);
  nobody = new TestClient(server.url, null);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

async function call(client: TestClient, name: string, args: object = {}): Promise<unknown[]> {
  const { status, body } = await client.request("POST", `/api/fn/${name}`, args);
  const { error } = body as { error?: { code: string } };
  return [status, error?.code ?? body];
}

test("auth is checked before the arguments, and the admin may call everything", async () => {
  expect(await call(nobody, "forUsers", { wrong: 1 })).toEqual([401, "AUTH_REQUIRED"]);
  expect(await call(ann, "forUsers", { wrong: 1 })).toEqual([400, "INVALID_ARGS"]);
  expect(await call(ann, "forUsers", { n: 1 })).toEqual([200, "in"]);
  expect(await call(ann, "forAdmin")).toEqual([403, "FORBIDDEN"]);
  expect(await call(admin, "forAdmin")).toEqual([200, "in"]);
  expect(await call(nobody, "open")).toEqual([200, "open"]);
});

test("T17: a limit holds for all guests of a network together, live too", async () => {
  const own = await startServer(app);
  const guest = (): Promise<TestClient> => TestClient.guest(own.url);
  try {
    for (let used = 0; used < 2; used += 1)
      expect(await call(await guest(), "rare")).toEqual([200, "rare"]);
    expect(await call(await guest(), "rare")).toEqual([429, "RATE_LIMITED"]);
    const socket = await QuerySocket.open(await guest());
    const id = socket.call("rare");
    await until(() => socket.all("error").length + socket.outcomes(id).length > 0);
    expect(socket.all("error")).toMatchObject([{ id, code: "RATE_LIMITED" }]);
    socket.socket.close();
    for (const transport of ["poll", "sse"])
      expect(await liveOutcome(await guest(), transport, "rare")).toContain("RATE_LIMITED");
  } finally {
    await own.stop();
  }
});

/** What a live connection without a socket is first told about a function. */
async function liveOutcome(client: TestClient, transport: string, name: string): Promise<string> {
  const messages = [{ type: "subscribe", id: 1, function: name, args: {} }];
  const isOver = (text: string): boolean => /"type":"(?:error|result)"/.test(text);
  const ask = (path: string, body: object): Promise<Response> =>
    fetch(`${client.url}/api/live${path}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${client.token}` },
      body: JSON.stringify(body),
    });
  const response = await ask("", { transport, messages });
  let told = "";
  if (transport === "sse") {
    for await (const part of (response.body ?? new Blob().stream()).pipeThrough(
      new TextDecoderStream(),
    )) {
      told += part;
      if (isOver(told)) break;
    }
    return told;
  }
  const { id, messages: first } = (await response.json()) as { id: string; messages: unknown };
  for (told = JSON.stringify(first); !isOver(told);)
    told += await (await ask(`/${id}`, { messages: [], wait: true })).text();
  return told;
}

test("a policy can use the caller, the arguments and rows", async () => {
  expect(await call(nobody, "forMembers", { teamId: "a" })).toEqual([403, "POLICY_DENIED"]);
  expect(await call(ann, "forMembers", { teamId: "a" })).toEqual([403, "POLICY_DENIED"]);
  expect(await call(ann, "forMembers", {})).toEqual([400, "INVALID_ARGS"]);
  await admin.insert("Member", { teamId: "a", userId: ann.userId });
  expect((await call(ann, "forMembers", { teamId: "a" }))[0]).toBe(200);
  expect(await call(ann, "forMembers", { teamId: "b" })).toEqual([403, "POLICY_DENIED"]);
  expect((await call(admin, "forMembers", { teamId: "b" }))[0]).toBe(200);
});

test("functions can call each other regardless of auth and internal", async () => {
  expect(await call(nobody, "runsForAdmin")).toEqual([200, "in"]);
  expect(await call(nobody, "runsHidden")).toEqual([200, ["hidden", "hidden"]]);
  for (const name of ["hidden", "alsoHidden"])
    expect(await call(admin, name)).toEqual([404, "FN_NOT_FOUND"]);
});

test("a function's own rate limit and timeout replace those of the server", async () => {
  const calls: unknown[] = [];
  for (let n = 0; n < 3; n += 1) calls.push((await call(ann, "rare"))[0]);
  expect(calls).toEqual([200, 200, 429]);
  const { body } = await admin.request("POST", "/api/auth/session", { user_id: "bob" });
  const bob = new TestClient(server.url, String(body["token"]), "bob");
  expect((await call(bob, "rare"))[0]).toBe(200);
  expect((await call(ann, "short"))[1]).toBe("FN_TIMEOUT");
});

test("middleware can reject, extend the context, and is part of the transaction", async () => {
  expect(await call(nobody, "withCaller", { n: 1 })).toEqual([401, "AUTH_REQUIRED"]);
  expect(await call(ann, "withCaller", { n: 1 })).toEqual([
    200,
    { caller: ann.userId, seen: 'withCaller {"n":1}', count: "function" },
  ]);
  const before = (await admin.request("GET", "/api/entities/Item")).text;
  expect((await call(ann, "rollsBack"))[1]).toBe("HANDLER_ERROR");
  expect((await admin.request("GET", "/api/entities/Item")).text).toBe(before);
});

test("a function can read the secrets that it declares, and no others", async () => {
  expect(await call(ann, "keyed")).toEqual([200, ["s1", "Error", "TypeError", "TypeError"]]);
});

test("a log line of a function has its name", async () => {
  const { body } = await ann.request("POST", "/api/fn/logs", {});
  expect(body).toBeNull();
  const { text } = await admin.request("GET", "/api/admin/logs?limit=50");
  expect(text).toContain("stock is low");
  expect(text).toMatch(/"function":\s*"logs"/);
});

test("a live function is refused to callers whom its policy denies", async () => {
  const mine = engineOf(ann);
  const theirs = engineOf(await TestClient.guest(server.url));
  try {
    const states = [mine, theirs].map((engine) => engine.live("membersSee", { teamId: "a" }));
    for (const state of states) state.subscribe(() => undefined);
    await until(() => states.every((state) => !state.getSnapshot().loading));
    expect(states[0]?.getSnapshot().data).toBeNumber();
    expect(states[1]?.getSnapshot()).toMatchObject({
      data: null,
      error: { code: "POLICY_DENIED" },
    });
  } finally {
    mine.stop();
    theirs.stop();
  }
});

function engineOf({ url, token }: TestClient): SyncEngine {
  const engine = createSyncEngine(url, {
    token: token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
  });
  engine.start();
  return engine;
}

test("a policy with an unknown entity prevents the start", async () => {
  const broken = appOf(manifest, {
    f: query({ auth: "exists(Membre, userId == auth.userId)", handler: () => 1 }),
  });
  const starting = startServer(broken).then((started) => started.stop());
  await expect(starting).rejects.toThrow('The policy of the function "f"');
});
