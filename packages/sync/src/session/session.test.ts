import { expect, test } from "bun:test";
import { systemPlatform } from "../platform/platform.ts";
import { ANONYMOUS_SESSION, Session } from "./session.ts";
import { createWriteThroughStorage, storageKey } from "./storage.ts";

const KEY = storageKey("app", "token");
const ANYBODY = { is_admin: false, roles: [] };

test.each([
  ["with token_valid", { ...ANYBODY, user_id: null, token_valid: false }, 200],
  ["as an earlier server does", { error: { code: "UNAUTHORIZED", message: "No." } }, 401],
])("a token that the server tells to have ended %s is dropped", async (_how, body, status) => {
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
