import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient, until, type Answer } from "../support/client.ts";
import { Cluster } from "../support/cluster.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { OIDC_CLIENT, startOidcProvider } from "../support/oidc-provider.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

const APP = `
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
const User = entity("User", { email: field.string().unique(),
  displayName: field.string().optional(), emailVerified: field.bool().default(false) });
export default buildManifest({ name: "accounts", version: "1.0.0", entities: [User],
  policies: [policy({ name: "own", entity: "User", allow: "auth.userId == data.id" })] });
`;
const PASSWORD = "correct horse battery";

let mail: MailServer;
let cluster: Cluster;
const at = (index: number, token: string | null = null): TestClient =>
  new TestClient(cluster.replicas[index]?.url ?? "", token);

beforeAll(async () => {
  mail = await startMailServer();
  const DATABASE_URL = await createDatabase(sharedPostgresUrl());
  cluster = await Cluster.start(
    { "app.ts": APP },
    {
      DATABASE_URL,
      PYLON_SMTP_URL: mail.url,
      PYLON_EMAIL_FROM: "accounts@example.com",
      PYLON_PUBLIC_URL: "http://accounts.example.com",
    },
  );
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await mail.stop();
});

/** Starts the sign-up on one replica and confirms it on another. */
async function signUp(email: string): Promise<Answer> {
  await at(0).request("POST", "/api/auth/password/register", { email, password: PASSWORD });
  const code = /\d{6}/.exec((await mail.to(email)).text)?.[0];
  return at(1).request("POST", "/api/auth/password/register/confirm", { email, code });
}

function statuses(answers: readonly Answer[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

test("T20: of a thousand concurrent guesses on all replicas, ten are checked", async () => {
  const email = "ann@example.com";
  expect((await signUp(email)).status).toBe(200);
  const guesses = await Promise.all(
    Array.from({ length: 1000 }, (_, n) =>
      at(n % 3).request("POST", "/api/auth/password/login", {
        email,
        password: `guess number ${n}`,
      }),
    ),
  );
  const counts = statuses(guesses);
  expect(counts[401]).toBe(10);
  expect((counts[429] ?? 0) + (counts[503] ?? 0)).toBe(990);
  // Now even the right password is not checked.
  expect(
    (await at(0).request("POST", "/api/auth/password/login", { email, password: PASSWORD })).status,
  ).toBe(429);
}, 60_000);

test("T20: of a thousand guesses of a code on all replicas, five are checked", async () => {
  const email = "ben@example.com";
  await at(0).request("POST", "/api/auth/magic/send", { email });
  const right = /\d{6}/.exec((await mail.to(email)).text)?.[0] ?? "";
  const wrong = right === "000000" ? "000001" : "000000";
  const counts = statuses(
    await Promise.all(
      Array.from({ length: 1000 }, (_, n) =>
        at(n % 3).request("POST", "/api/auth/magic/verify", { email, code: wrong }),
      ),
    ),
  );
  expect(counts[401]).toBe(5);
  expect(
    (await at(2).request("POST", "/api/auth/magic/verify", { email, code: right })).status,
  ).toBe(429);
}, 60_000);

test("a link can be used once, on whichever replica is first", async () => {
  const email = "cid@example.com";
  const sent = await fetch(`${cluster.replicas[0]?.url}/api/auth/magic-link/send`, {
    method: "POST",
    body: JSON.stringify({ email, callback: "/" }),
  });
  const Cookie = (sent.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  const link = new URL(/http:\S+/.exec((await mail.to(email)).text)?.[0] ?? "");
  const followed = await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      fetch(`${cluster.replicas[n % 3]?.url}${link.pathname}${link.search}`, {
        redirect: "manual",
        headers: { Cookie },
      }),
    ),
  );
  expect(followed.filter(({ status }) => status === 302)).toHaveLength(1);
});

test("T14: a stolen cookie is invalid on all replicas within a second of a sign-out", async () => {
  const { body } = await at(0).request("POST", "/api/auth/guest");
  const stolen = { Cookie: `accounts_session=${String(body["token"])}` };
  const user = (index: number): Promise<unknown> =>
    at(index)
      .request("GET", "/api/auth/me", undefined, stolen)
      .then((answer) => answer.body["user_id"]);
  for (const index of [0, 1, 2]) expect(await user(index)).toBe(body["user_id"]);
  const socket = await at(2, String(body["token"])).live(0).ready();
  expect((await at(1).request("DELETE", "/api/auth/session", undefined, stolen)).status).toBe(200);
  await until(() => socket.closed !== null, 1000);
  await until(
    async () => (await Promise.all([0, 1, 2].map(user))).every((id) => id === null),
    1000,
  );
});

test("a sign-in with a provider can start on one replica and end on another, once", async () => {
  const publicUrl = "http://localhost:1";
  const oidc = await startOidcProvider(`${publicUrl}/api/auth/callback/acme`);
  const DATABASE_URL = await createDatabase(sharedPostgresUrl());
  // In dev mode, because otherwise no requests are sent to a provider on loopback.
  const env = {
    DATABASE_URL,
    PYLON_DEV_MODE: "1",
    PYLON_PUBLIC_URL: publicUrl,
    PYLON_OAUTH_ACME_CLIENT_ID: OIDC_CLIENT.id,
    PYLON_OAUTH_ACME_CLIENT_SECRET: OIDC_CLIENT.secret,
    PYLON_OAUTH_ACME_OIDC_ISSUER: oidc.issuer,
  };
  const own = await Cluster.start({ "app.ts": APP }, env);
  try {
    const [a, b, c] = own.replicas.map(({ url }) => url) as [string, string, string];
    const begun = await fetch(`${a}/api/auth/login/acme`);
    const { redirect } = (await begun.json()) as { redirect: string };
    const Cookie = (begun.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const back = await oidc.signIn(redirect, "ann");
    const ends = await Promise.all(
      [b, c].map((url) =>
        fetch(back.replace(publicUrl, url), { redirect: "manual", headers: { Cookie } }),
      ),
    );
    expect(ends.map(({ status }) => status).toSorted((x, y) => x - y)).toEqual([302, 400]);
    const session =
      ends
        .flatMap(({ headers }) => headers.getSetCookie())
        .find((value) => value.startsWith("accounts_session=")) ?? "";
    const { body } = await new TestClient(a, null).request("GET", "/api/auth/session", undefined, {
      Cookie: session.split(";")[0] ?? "",
    });
    expect(body["user"]).toMatchObject({ email: "ann@example.com", emailVerified: true });
  } finally {
    await own[Symbol.asyncDispose]();
    await oidc.stop();
  }
}, 60_000);
