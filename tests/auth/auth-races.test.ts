import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { auth, buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { Secret, TOTP } from "otpauth";
import { aMoment, TestClient, until, type Answer, type LiveSocket } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// What is revoked stays revoked, even for a caller that makes another request at the same time.

const PASSWORD = "correct horse battery";
const ANOTHER = "another long password";
const ROUNDS = 8;
const manifest = buildManifest({
  name: "shop",
  version: "1.0.0",
  entities: [
    entity("User", {
      email: field.string().unique(),
      emailVerified: field.bool().default(false),
      isStaff: field.bool().default(false),
    }),
    entity("Note", { text: field.string() }),
  ],
  policies: [
    policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
    policy({ name: "notes", entity: "Note", allow: "auth.userId != null" }),
  ],
  auth: auth({
    hooks: { claims: ({ user }) => ({ roles: user["isStaff"] === true ? ["staff"] : [] }) },
  }),
});

let server: TestServer;
let nobody: Pick<TestClient, "request">;
let admin: TestClient;
let people = 0;
let calls = 0;
/** How far the server's clock is ahead, in milliseconds. */
let aheadMs = 0;
beforeAll(async () => {
  const env = { PYLON_DEV_MODE: "1", PYLON_TRUST_PROXY_HOPS: "1" };
  server = await startServer(appOf(manifest), env, { now: () => Date.now() + aheadMs });
  // Each request comes from a different address, so that no limit applies.
  const anywhere = new TestClient(server.url, null);
  nobody = {
    request: (method, path, body) =>
      anywhere.request(method, path, body, {
        "X-Forwarded-For": `10.${(calls += 1) >> 16}.${(calls >> 8) & 255}.${calls & 255}`,
      }),
  };
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

const as = ({ body }: Answer, token = body["token"]): TestClient =>
  new TestClient(server.url, token as string, body["user_id"] as string);
const isLive = async (client: TestClient): Promise<boolean> =>
  (await client.request("GET", "/api/auth/session")).status === 200;

async function person(): Promise<{ readonly email: string; readonly client: TestClient }> {
  const email = `person${(people += 1)}@example.com`;
  const made = await nobody.request("POST", "/api/auth/password/register", {
    email,
    password: PASSWORD,
  });
  expect([made.status, made.text]).toEqual([200, made.text]);
  return { email, client: as(made) };
}

/** Repeats a request until it is stopped. @returns the result of the last successful one */
function loop(
  ask: (last: string | null) => Promise<string | null>,
  first: string | null,
): { readonly stop: () => Promise<string | null> } {
  let isStopped = false;
  const done = (async () => {
    let last = first;
    while (!isStopped) last = (await ask(last)) ?? last;
    return last;
  })();
  return {
    stop: () => {
      isStopped = true;
      return done;
    },
  };
}

/** The thief: each token is used to get the next one. */
function refreshing(token: string | null): ReturnType<typeof loop> {
  return loop(async (last) => {
    const { status, body } = await new TestClient(server.url, last).request(
      "POST",
      "/api/auth/refresh",
    );
    return status === 200 ? (body["token"] as string) : null;
  }, token);
}

describe("a stolen token that is refreshed continuously", () => {
  test.each([
    [
      "signing out everywhere",
      (_: TestClient, mine: TestClient) => mine.request("DELETE", "/api/auth/sessions?others=1"),
    ],
    [
      "the deletion of the user",
      ({ userId }: TestClient) => admin.request("DELETE", `/api/admin/users/${userId}`),
    ],
  ] as const)("does not survive %s", async (_, takeAway) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const victim = await person();
      const mine = as(
        await nobody.request("POST", "/api/auth/password/login", {
          email: victim.email,
          password: PASSWORD,
        }),
      );
      const thief = refreshing(victim.client.token);
      await Bun.sleep(5);
      expect((await takeAway(victim.client, mine)).status).toBe(200);
      const last = await thief.stop();
      expect([round, await isLive(new TestClient(server.url, last))]).toEqual([round, false]);
    }
  });

  test("does not stay in an organization from which its user was removed", async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const [owner, member] = [await person(), await person()];
      const orgId = (await owner.client.request("POST", "/api/auth/orgs", { name: "Acme" })).body[
        "id"
      ] as string;
      const { body: invitation } = await owner.client.request(
        "POST",
        `/api/auth/orgs/${orgId}/invites`,
        { email: member.email, role: "admin" },
      );
      const { body: sent } = await nobody.request("POST", "/api/auth/magic/send", {
        email: member.email,
      });
      const session = as(
        await nobody.request("POST", "/api/auth/magic/verify", {
          email: member.email,
          code: sent["dev_code"],
        }),
      );
      expect(
        (
          await session.request(
            "POST",
            `/api/auth/invites/${String(invitation["dev_token"])}/accept`,
          )
        ).status,
      ).toBe(200);
      const selected = await session.request("POST", "/api/auth/select-org", { org_id: orgId });
      const thief = refreshing((selected.body["token"] as string | undefined) ?? session.token);
      await Bun.sleep(5);
      expect(
        (await owner.client.request("DELETE", `/api/auth/orgs/${orgId}/members/${session.userId}`))
          .status,
      ).toBe(200);
      const last = await thief.stop();
      const { body: me } = await new TestClient(server.url, last).request("GET", "/api/auth/me");
      expect([round, me["tenant_id"] ?? null, me["roles"]]).toEqual([round, null, []]);
    }
  });
});

test("no session is created with a password that is being reset", async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const { email } = await person();
    const { body } = await nobody.request("POST", "/api/auth/password/reset/request", { email });
    const tokens: string[] = [];
    const guess = (): ReturnType<typeof loop> =>
      loop(async () => {
        const { body: answer } = await nobody.request("POST", "/api/auth/password/login", {
          email,
          password: PASSWORD,
        });
        if (typeof answer["token"] === "string") tokens.push(answer["token"]);
        return null;
      }, null);
    const loops = [guess(), guess()];
    await until(() => tokens.length > 0);
    expect(
      (
        await nobody.request("POST", "/api/auth/password/reset/complete", {
          token: body["dev_token"],
          password: ANOTHER,
        })
      ).status,
    ).toBe(200);
    await Promise.all(loops.map(({ stop }) => stop()));
    const live = await Promise.all(
      tokens.map((token) => isLive(new TestClient(server.url, token))),
    );
    expect([round, live.filter(Boolean).length]).toEqual([round, 0]);
  }
}, 120_000);

test("a password change ends sign-ins that wait for a second factor", async () => {
  const { email, client } = await person();
  const { body: enrolled } = await client.request("POST", "/api/auth/totp/enroll");
  const totp = new TOTP({ secret: Secret.fromBase32(enrolled["secret"] as string) });
  const codes = (await client.request("POST", "/api/auth/totp/verify", { code: totp.generate() }))
    .body["backup_codes"] as string[];
  const waiting = await nobody.request("POST", "/api/auth/password/login", {
    email,
    password: PASSWORD,
  });
  const pending = (waiting.body["error"] as { readonly mfa_token: string }).mfa_token;
  expect(
    (
      await client.request("POST", "/api/auth/password/change", {
        current_password: PASSWORD,
        new_password: ANOTHER,
      })
    ).status,
  ).toBe(200);
  expect(
    (await nobody.request("POST", "/api/auth/totp/verify", { mfa_token: pending, code: codes[0] }))
      .status,
  ).toBeOneOf([400, 401]);
});

test("no API key remains of an account that is being deleted or reclaimed", async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const takeAway of [
      async (_: string, userId: string) => admin.request("DELETE", `/api/admin/users/${userId}`),
      async (email: string) => {
        const { body } = await nobody.request("POST", "/api/auth/magic/send", { email });
        return nobody.request("POST", "/api/auth/magic/verify", { email, code: body["dev_code"] });
      },
    ]) {
      const { email, client } = await person();
      const keys: string[] = [];
      const making = (): ReturnType<typeof loop> =>
        loop(async () => {
          const { body } = await client.request("POST", "/api/auth/api-keys", {
            name: "a way back",
          });
          if (typeof body["key"] === "string") keys.push(body["key"]);
          return null;
        }, null);
      const loops = [making(), making()];
      await until(() => keys.length > 0);
      expect((await takeAway(email, client.userId)).status).toBe(200);
      await Promise.all(loops.map(({ stop }) => stop()));
      const live = await Promise.all(keys.map((key) => isLive(new TestClient(server.url, key))));
      expect([round, live.filter(Boolean).length]).toEqual([round, 0]);
    }
  }
}, 120_000);

describe("a request whose body arrives late", () => {
  /**
   * Waits until the server has read the head, and its cached session is too old to be used again.
   */
  async function identityIsOld(): Promise<void> {
    await aMoment();
    aheadMs += 1_000;
  }

  /** Sends the head and a part of the body now, and the rest later. */
  function held(
    path: string,
    token: string,
    body: string,
  ): { readonly finish: () => Promise<number> } {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    let answer = "";
    socket.on("data", (data) => (answer += data.toString()));
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ` +
        `${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
        `Connection: close\r\n\r\n${body.slice(0, 5)}`,
    );
    return {
      finish: async () => {
        socket.write(body.slice(5));
        await until(() => answer.includes("\r\n\r\n"));
        socket.destroy();
        return Number(answer.split(" ")[1]);
      },
    };
  }

  test.each([
    ["/api/auth/api-keys", JSON.stringify({ name: "a way back" })],
    ["/api/entities/Note", JSON.stringify({ text: "written by nobody" })],
    [
      "/api/sync/push",
      JSON.stringify({
        changes: [{ entity: "Note", row_id: "n1", kind: "insert", data: { text: "by nobody" } }],
      }),
    ],
  ])("%s is rejected if its session has ended meanwhile", async (path, body) => {
    const { client } = await person();
    const request = held(path, client.token ?? "", body);
    await identityIsOld();
    await client.request("DELETE", "/api/auth/sessions");
    expect(await request.finish()).toBe(401);
    const { client: other } = await person();
    const prompt = held(path, other.token ?? "", body);
    await identityIsOld();
    expect(await prompt.finish()).toBeOneOf([200, 201]);
  });
});

test("T14: a socket that catches up while its session ends gets no later write", async () => {
  const writer = (await person()).client;
  for (let n = 0; n < 400; n += 1)
    await writer.insert("Note", { text: `note ${n} ${"x".repeat(200)}` });
  for (let round = 0; round < 4; round += 1) {
    const { client } = await person();
    const sockets: LiveSocket[] = Array.from({ length: 10 }, () => client.live(0));
    await Bun.sleep(10 * round);
    await client.request("DELETE", "/api/auth/session");
    const after = await writer.insert("Note", { text: "after the end" });
    await until(() => sockets.every(({ closed }) => closed !== null));
    expect(sockets.filter(({ texts }) => texts.some((text) => text.includes(after))).length).toBe(
      0,
    );
  }
}, 120_000);

test("T14: a role that the app no longer claims is lost with the next refresh", async () => {
  const { email, client } = await person();
  await admin.request("PATCH", `/api/entities/User/${client.userId}`, { isStaff: true });
  const staff = as(
    await nobody.request("POST", "/api/auth/password/login", { email, password: PASSWORD }),
  );
  expect((await staff.request("GET", "/api/auth/me")).body["roles"]).toEqual(["staff"]);
  await admin.request("PATCH", `/api/entities/User/${client.userId}`, { isStaff: false });
  const refreshed = as(await staff.request("POST", "/api/auth/refresh"));
  expect((await refreshed.request("GET", "/api/auth/me")).body["roles"]).toEqual([]);
});

test("a guest becomes only one user, whatever its token requests at the same time", async () => {
  const codeFor = async (email: string): Promise<unknown> =>
    (await nobody.request("POST", "/api/auth/magic/send", { email })).body["dev_code"];
  for (let round = 0; round < ROUNDS; round += 1) {
    const guest = as(await nobody.request("POST", "/api/auth/guest"));
    const [own, stranger] = [`own${round}@example.com`, `stranger${round}@example.com`];
    const thief = await person();
    const bodies = [
      { email: own, code: await codeFor(own) },
      { email: stranger, code: await codeFor(stranger) },
      { email: thief.email, code: await codeFor(thief.email) },
    ];
    const answers = await Promise.all(
      bodies.map((body) => guest.request("POST", "/api/auth/magic/verify", body)),
    );
    const good = answers.flatMap((answer, at) =>
      answer.status === 200 ? [{ client: as(answer), email: bodies[at]?.email }] : [],
    );
    expect(good.length).toBeGreaterThan(0);
    // Each is the user of its own address, and at most one of them keeps the guest's id.
    for (const { client, email } of good)
      expect([
        round,
        ((await client.request("GET", "/api/auth/session")).body["user"] as { email: string })
          .email,
      ]).toEqual([round, email ?? ""]);
    expect(new Set(good.map(({ client }) => client.userId)).size).toBe(good.length);
    expect(await isLive(guest)).toBe(false);
  }
}, 120_000);

test("the admin can end a user's sessions, keys and connections immediately", async () => {
  const { client } = await person();
  const key = new TestClient(
    server.url,
    (await client.request("POST", "/api/auth/api-keys", { name: "a program" })).body[
      "key"
    ] as string,
  );
  const sockets = [client.live(0), key.live(0)];
  await Promise.all(sockets.map((socket) => socket.ready()));
  expect(
    (await client.request("DELETE", `/api/admin/users/${client.userId}/sessions`)).status,
  ).toBe(403);
  expect(
    (await admin.request("DELETE", `/api/admin/users/${client.userId}/sessions`)).body,
  ).toEqual({ revoked_count: 1 });
  await until(() => sockets.every(({ closed }) => closed !== null));
  expect([await isLive(client), await isLive(key)]).toEqual([false, false]);
});
