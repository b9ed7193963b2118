import { expect, test } from "bun:test";
import { systemPlatform, type Platform } from "../platform/platform.ts";
import { ANONYMOUS_SESSION, Session } from "./session.ts";
import { createWriteThroughStorage, storageKey } from "./storage.ts";

const KEY = storageKey("app", "token");
const ANYBODY = { is_admin: false, roles: [] };

test.each([
  ["with token_valid", { ...ANYBODY, user_id: null, token_valid: false }, 200],
  ["as an earlier server does", { error: { code: "UNAUTHORIZED", message: "No." } }, 401],
])("a token that the server reports as ended %s is dropped", async (_how, body, status) => {
  const storage = createWriteThroughStorage({ [KEY]: "ended" }, () => undefined);
  const session = new Session({
    baseUrl: "http://server.example",
    platform: {
      ...systemPlatform,
      fetch: () => Promise.resolve(Response.json(body, { status })),
    },
    storage,
    appName: "app",
    token: undefined,
    credentials: "token",
    initial: ANONYMOUS_SESSION,
  });
  await expect(session.refresh()).rejects.toMatchObject({ status: 401, code: "UNAUTHORIZED" });
  expect([storage.get(KEY), session.token, session.userId]).toEqual([null, null, null]);
});

test("a prepared response is used once, unless the user may have changed", async () => {
  const asked: (string | null)[] = [];
  const platform: Platform = {
    ...systemPlatform,
    fetch: (_url, { headers }) => {
      asked.push(new Headers(headers).get("Authorization"));
      const answer = { user_id: `user ${asked.length}`, is_admin: false, roles: [] };
      return Promise.resolve(Response.json(answer));
    },
  };
  const session = new Session({
    baseUrl: "http://localhost",
    platform,
    storage: createWriteThroughStorage({}, () => undefined),
    appName: "a",
    token: "one",
    credentials: "token",
    initial: ANONYMOUS_SESSION,
  });
  session.prepare();
  expect(asked).toEqual(["Bearer one"]);
  expect(await session.refreshPrepared()).toMatchObject({ userId: "user 1" });
  expect(await session.refreshPrepared()).toMatchObject({ userId: "user 2" });
  session.prepare();
  session.token = "other";
  expect(await session.refreshPrepared()).toMatchObject({ userId: "user 4" });
  session.prepare();
  session.invalidate();
  expect(await session.refreshPrepared()).toMatchObject({ userId: "user 6" });
  expect(asked.slice(2)).toEqual(["Bearer one", "Bearer other", "Bearer other", "Bearer other"]);
});

test("a session that was to be ended later is ended before the server is asked again", async () => {
  const storage = createWriteThroughStorage({}, () => undefined);
  const asked: string[] = [];
  let answer = (): Promise<Response> => Promise.reject(new TypeError("Failed to fetch"));
  const platform: Platform = {
    ...systemPlatform,
    fetch: (url, { method, headers }) => {
      const token = new Headers(headers).get("Authorization") ?? "nobody";
      asked.push(`${method} ${new URL(url).pathname} ${token}`);
      return answer();
    },
  };
  const open = (): Session =>
    new Session({
      baseUrl: "http://localhost",
      platform,
      storage,
      appName: "app",
      token: undefined,
      credentials: "token",
      initial: ANONYMOUS_SESSION,
    });
  const session = open();
  session.endLater();
  session.token = "ann";
  session.endLater();
  session.token = null;
  await expect(session.refresh()).rejects.toMatchObject({ code: "UNREACHABLE" });
  const refusal = (status: number, code: string): Promise<Response> =>
    Promise.resolve(Response.json({ error: { code, message: code } }, { status }));
  answer = () => refusal(503, "OVERLOADED");
  await expect(session.refresh()).rejects.toMatchObject({ code: "OVERLOADED" });
  asked.splice(0, 1);
  answer = () => Promise.resolve(Response.json({ ...ANYBODY, user_id: null }));
  // After a reload.
  const next = open();
  await next.refresh();
  await next.refresh();
  expect(asked).toEqual([
    "DELETE /api/auth/session Bearer ann",
    "DELETE /api/auth/session Bearer ann",
    "GET /api/auth/me nobody",
    "GET /api/auth/me nobody",
  ]);
});

test("a session that the server refuses to end does not keep the client from asking", async () => {
  const storage = createWriteThroughStorage(
    { [storageKey("app", "ended")]: "ann" },
    () => undefined,
  );
  const session = new Session({
    baseUrl: "http://localhost",
    platform: {
      ...systemPlatform,
      fetch: (_url, { method }) => {
        const error = { error: { code: "FORBIDDEN", message: "No." } };
        const isEnd = method === "DELETE";
        const body = isEnd ? error : { ...ANYBODY, user_id: null };
        return Promise.resolve(Response.json(body, { status: isEnd ? 403 : 200 }));
      },
    },
    storage,
    appName: "app",
    token: undefined,
    credentials: "token",
    initial: ANONYMOUS_SESSION,
  });
  expect(await session.refresh()).toMatchObject({ userId: null });
  expect(storage.get(storageKey("app", "ended"))).toBe(null);
});

test("only a request that a cookie may authenticate names its user", async () => {
  let userId: string | null = "a/b";
  const make = (token: string | undefined, credentials: "token" | "cookie"): Session =>
    new Session({
      baseUrl: "http://server.example",
      platform: {
        ...systemPlatform,
        fetch: () => Promise.resolve(Response.json({ ...ANYBODY, user_id: userId })),
      },
      storage: createWriteThroughStorage({}, () => undefined),
      appName: "app",
      token,
      credentials,
      initial: ANONYMOUS_SESSION,
    });
  const byToken = make("token", "token");
  await byToken.refresh();
  expect(byToken.named("/api/fn/add")).toBe("/api/fn/add");
  for (const session of [make(undefined, "token"), make(undefined, "cookie")]) {
    userId = "a/b";
    expect(session.named("/api/fn/add")).toBe("/api/fn/add");
    await session.refresh();
    expect(session.named("/api/fn/add")).toBe("/api/fn/add?user_id=a%2Fb");
    expect(session.named("/upload?field=x")).toBe("/upload?field=x&user_id=a%2Fb");
    session.invalidate();
    expect(session.named("/api/fn/add")).toBe("/api/fn/add");
    userId = null;
    await session.refresh();
    expect(session.named("/api/fn/add")).toBe("/api/fn/add?user_id=");
  }
});
