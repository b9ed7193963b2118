import { expect, test } from "bun:test";
import { ANONYMOUS } from "../../identity/identity.ts";
import { TrustedOrigins } from "../security/trusted-origins.ts";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { Authenticator, type TokenKind } from "./authenticator.ts";
import { SessionCookie } from "./session-cookie.ts";
import { Sessions } from "./sessions.ts";

const KEY: TokenKind = {
  matches: (token) => token.startsWith("pk."),
  identify: () =>
    Promise.resolve({
      caller: { ...ANONYMOUS, userId: "by key" },
      sessionId: null,
      expiresAt: Infinity,
    }),
};

async function setUp(scratch: ReturnType<typeof scratchStore>): Promise<{
  readonly who: (headers: Record<string, string>, method?: string) => Promise<string | null>;
  readonly authenticator: Authenticator;
  readonly token: string;
}> {
  const sessions = new Sessions(scratch.store, scratch.platform, ["admin-token"]);
  const cookie = new SessionCookie(() => ({
    name: "s",
    domain: undefined,
    sameSite: "lax",
    secure: true,
  }));
  const origins = new TrustedOrigins({
    dev: false,
    publicUrl: "https://app.example.com",
    trusted: () => [],
    csrf: [],
  });
  const authenticator = new Authenticator(sessions, cookie, origins, [KEY]);
  return {
    authenticator,
    token: await sessions.create("ann", { isGuest: false, lifetimeMs: 60_000 }),
    who: async (headers, method = "POST") =>
      (await authenticator.identify(requestOf(headers, method))).caller.userId,
  };
}

function requestOf(headers: Record<string, string>, method: string): Request {
  return new Request("https://app.example.com/api", { method, headers });
}

test("a bearer token identifies the caller, whatever the cookie is", async () => {
  await using scratch = scratchStore();
  const { who, token } = await setUp(scratch);
  expect(await who({ authorization: `Bearer ${token}` })).toBe("ann");
  expect(await who({ authorization: "Bearer pk.x", cookie: `s=${token}` })).toBe("by key");
  await expect(who({ authorization: "Bearer x", cookie: `s=${token}` })).rejects.toMatchObject({
    code: "UNAUTHORIZED",
  });
  expect(await who({})).toBeNull();
});

test("a cookie works on own pages; a foreign page reads anonymously and can't write", async () => {
  await using scratch = scratchStore();
  const { who, token } = await setUp(scratch);
  const cookie = `s=${token}`;
  expect(await who({ cookie })).toBe("ann");
  expect(await who({ cookie, origin: "https://app.example.com" })).toBe("ann");
  const foreign = { cookie, origin: "https://evil.example" };
  expect(await who(foreign, "GET")).toBeNull();
  await expect(who(foreign)).rejects.toMatchObject({ code: "CSRF_REJECTED" });
  expect(await who({ ...foreign, authorization: `Bearer ${token}` })).toBe("ann");
});

test("a cookie of an ended session, or with the admin token, is anonymous", async () => {
  await using scratch = scratchStore();
  const { who, token } = await setUp(scratch);
  scratch.advance(60_000);
  expect(await who({ cookie: `s=${token}` })).toBeNull();
  expect(await who({ cookie: "s=admin-token" })).toBeNull();
  expect(await who({ cookie: "s=pk.x" })).toBeNull();
});

test("if cookies must be ignored, only the bearer token is used", async () => {
  await using scratch = scratchStore();
  const { authenticator, token } = await setUp(scratch);
  const identity = await authenticator.identifyBearer(requestOf({ cookie: `s=${token}` }, "GET"));
  expect(identity.caller.userId).toBeNull();
  const foreign = requestOf({ origin: "https://evil.example" }, "POST");
  expect(() => authenticator.checkOrigin(foreign)).toThrow("evil.example");
  expect(authenticator.isForeign(requestOf({ origin: "https://evil.example" }, "GET"))).toBe(false);
});
