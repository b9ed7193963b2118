import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createServer, loadConfig, type PylonServer } from "../../index.ts";

const manifest = buildManifest({
  name: "shop",
  version: "1.0.0",
  entities: [entity("User", { email: field.string().unique(), displayName: field.string(), emailVerified: field.bool().default(false) })],
  policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
});

let github: Bun.Server<undefined>;
let server: PylonServer;
/** What the token endpoint was sent. */
let exchanged: URLSearchParams = new URLSearchParams();

beforeAll(async () => {
  github = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    routes: {
      "/token": async (request) => {
        exchanged = new URLSearchParams(await request.text());
        return Response.json({ access_token: "canary-access-token", token_type: "bearer", scope: "read:user,user:email" });
      },
      "/user": (request) => (request.headers.get("authorization")?.endsWith(" canary-access-token") === true ? Response.json({ id: 4711, login: "ann", name: null, email: null, avatar_url: "https://avatars.example/4711" }) : new Response("{}", { status: 401 })),
      "/emails": () =>
        Response.json([
          { email: "noise@example.com", primary: false, verified: true },
          { email: "ann@example.com", primary: true, verified: true },
        ]),
    },
    fetch: () => new Response("{}", { status: 404 }),
  });
  const at = (path: string): string => new URL(path, github.url).href;
  const env = { PYLON_DEV_MODE: "1", PYLON_PORT: "0", PYLON_HOST: "127.0.0.1", PYLON_IN_MEMORY: "1", PYLON_LOG_LEVEL: "error", PYLON_OAUTH_GITHUB_CLIENT_ID: "the-client", PYLON_OAUTH_GITHUB_CLIENT_SECRET: "the-secret" };
  server = createServer({
    app: { dir: ".", manifest, manifestModule: manifest, functions: new Map(), web: null, diagnostics: [] },
    config: loadConfig(env),
    oauthEndpoints: { github: { authorization: at("/authorize"), token: at("/token"), user: at("/user"), emails: at("/emails") } },
  });
  await server.start();
});
afterAll(async () => {
  await server.stop();
  await github.stop(true);
});

test("GitHub's user is found by its number, with the primary address that GitHub has verified", async () => {
  const begun = await fetch(`${server.url}/api/auth/login/github`);
  const { redirect, state } = (await begun.json()) as { redirect: string; state: string };
  expect(new URL(redirect).searchParams.get("scope")).toBe("read:user user:email");
  const cookie = (begun.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  const back = await fetch(`${server.url}/api/auth/callback/github?code=the-code&state=${state}`, { redirect: "manual", headers: { Cookie: cookie } });
  expect([back.status, back.headers.get("location")]).toEqual([302, `${server.url}/`]);
  expect([exchanged.get("code"), exchanged.get("client_id"), exchanged.get("client_secret")]).toEqual(["the-code", "the-client", "the-secret"]);
  expect(exchanged.get("code_verifier")).toMatch(/^[\w-]{43}$/);
  const session = back.headers.getSetCookie().find((value) => value.startsWith("shop_session=")) ?? "";
  const headers = { Cookie: session.split(";")[0] ?? "" };
  const { user } = (await (await fetch(`${server.url}/api/auth/session`, { headers })).json()) as { user: Record<string, unknown> };
  expect(user).toMatchObject({ email: "ann@example.com", emailVerified: true, displayName: "ann" });
  const accounts = await (await fetch(`${server.url}/api/auth/accounts`, { headers })).text();
  expect(accounts).toContain("github");
  expect(accounts).not.toContain("canary");
});
