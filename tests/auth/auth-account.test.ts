import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until, type Answer } from "../support/client.ts";
import { openDatabaseFile } from "../support/database-file.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const PASSWORD = "correct horse battery";
const app = appOf(
  buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [
      entity("User", {
        email: field.string().unique(),
        emailVerified: field.bool().default(false),
      }),
      entity("Note", { text: field.string(), ownerId: field.id("User").owner() }),
      entity("Report", {
        text: field.string(),
        aboutId: field.id("User"),
        reporterId: field.id("User").owner(),
      }),
      entity("Praise", { text: field.string(), aboutId: field.id("User") }),
    ],
    policies: [
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
      policy({
        name: "reports",
        entity: "Report",
        allowRead: "auth.userId == data.reporterId",
        allowInsert: "auth.userId != null",
      }),
      policy({
        name: "praise",
        entity: "Praise",
        allowRead: "auth.userId == data.aboutId",
        allowInsert: "auth.userId != null",
      }),
    ],
  }),
  {
    removeUser: mutation({
      args: { id: v.string() },
      handler: async (ctx, { id }) => ctx.db.delete("User", id),
    }),
  },
);

let server: TestServer;
let mail: MailServer;
let nobody: TestClient;
let admin: TestClient;
let number = 0;

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(app, {
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "shop@example.com",
    PYLON_PUBLIC_URL: "https://shop.example.com",
  });
  nobody = new TestClient(server.url, null);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

const as = ({ body }: Answer): TestClient =>
  new TestClient(server.url, body["token"] as string, body["user_id"] as string);
const codeOf = (error: Answer): unknown =>
  (error.body["error"] as { code?: string } | undefined)?.code;

const CODE = /\b\d{6}\b/;

async function signIn(
  email = `person${(number += 1)}@example.com`,
): Promise<TestClient & { readonly email: string }> {
  const before = mail.countTo(email, CODE);
  await nobody.request("POST", "/api/auth/magic/send", { email });
  const code = CODE.exec((await mail.to(email, before + 1, CODE)).text)?.[0];
  return Object.assign(
    as(await nobody.request("POST", "/api/auth/magic/verify", { email, code })),
    { email },
  );
}

const removals: readonly (readonly [string, (user: TestClient) => Promise<Answer>])[] = [
  ["by the user, as a row", (user) => user.request("DELETE", `/api/entities/User/${user.userId}`)],
  [
    "by the admin, as a row",
    (user) => admin.request("DELETE", `/api/entities/User/${user.userId}`),
  ],
  [
    "by the admin, as an account",
    (user) => admin.request("DELETE", `/api/admin/users/${user.userId}`),
  ],
  ["by a function", (user) => user.request("POST", "/api/fn/removeUser", { id: user.userId })],
  [
    "by a push",
    (user) =>
      user.request("POST", "/api/sync/push", {
        client_id: "c",
        changes: [
          { op_id: `op-${user.userId}`, entity: "User", row_id: user.userId, kind: "delete" },
        ],
      }),
  ],
  [
    "in a transaction",
    (user) =>
      user.request("POST", "/api/transact", [{ op: "delete", entity: "User", id: user.userId }]),
  ],
];

describe("a user who is deleted", () => {
  test.each(removals)(
    "%s loses every session, every connection, every key and the password",
    async (_, remove) => {
      const by = await signIn();
      const changed = await by.request("POST", "/api/auth/password/change", {
        new_password: PASSWORD,
      });
      const user = Object.assign(
        new TestClient(
          server.url,
          (changed.body["token"] as string | undefined) ?? by.token,
          by.userId,
        ),
        { email: by.email },
      );
      const { body: made } = await user.request("POST", "/api/auth/api-keys", {
        name: "a way back",
      });
      const key = new TestClient(server.url, made["key"] as string);
      const sockets = [await user.live(0).ready(), await key.live(0).ready()];
      const answer = await remove(user);
      expect([answer.status < 300, answer.text]).toEqual([true, answer.text]);
      await until(() => sockets.every(({ closed }) => closed !== null));
      await until(async () => (await key.request("GET", "/api/auth/session")).status === 401);
      await until(async () => (await user.request("GET", "/api/auth/session")).status === 401);
      for (const gone of [user, key])
        expect(
          (await gone.request("POST", "/api/entities/Note", { text: "from beyond" })).status,
        ).toBe(401);
      expect((await user.request("POST", "/api/auth/refresh")).status).toBe(401);
      expect(
        codeOf(
          await nobody.request("POST", "/api/auth/password/login", {
            email: user.email,
            password: PASSWORD,
          }),
        ),
      ).toBe("INVALID_CREDENTIALS");
      // A new user with the same address is another user, and gets nothing of the old one.
      const next = await signIn(user.email);
      expect(next.userId).not.toBe(user.userId);
      expect((await next.request("GET", "/api/auth/api-keys")).body).toEqual([] as never);
    },
  );

  test("is unchanged if the deletion is rejected", async () => {
    const [user, other] = [await signIn(), await signIn()];
    expect((await other.request("DELETE", `/api/entities/User/${user.userId}`)).status).toBe(404);
    expect((await user.request("GET", "/api/auth/session")).status).toBe(200);
  });
});

const diaries = buildManifest({
  name: "shop",
  version: "1.0.0",
  entities: [
    entity("User", {
      email: field.string().unique(),
      displayName: field.string().optional(),
      team: field.string().optional(),
      passwordHash: field.string().optional(),
    }),
    entity("Diary", { text: field.string(), writer: field.id("User").owner() }),
  ],
  policies: [
    policy({
      name: "users",
      entity: "User",
      allow: "auth.userId == data.id || data.team == 'shown'",
    }),
    policy({ name: "diaries", entity: "Diary", allow: "auth.userId == data.writer" }),
  ],
});

/** The names of the tables in a database file that contain a text. */
function tablesHolding(file: string, text: string): string[] {
  using db = openDatabaseFile(file, { readonly: true });
  return db
    .query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .all()
    .map(({ name }) => name)
    .filter((name) => JSON.stringify(db.query(`SELECT * FROM "${name}"`).all()).includes(text))
    .toSorted();
}

/** Signs two users up: one with `email`, and a reader who may see that user. */
async function writerAndReader(
  url: string,
  email: string,
): Promise<{ readonly user: TestClient; readonly reader: TestClient }> {
  const by = new TestClient(url, null);
  const register = async (account: object): Promise<TestClient> => {
    const { body } = await by.request("POST", "/api/auth/password/register", {
      password: PASSWORD,
      ...account,
    });
    return new TestClient(url, body["token"] as string, body["user_id"] as string);
  };
  const user = await register({ email, displayName: "Canary" });
  const reader = await register({ email: "other@example.com" });
  await new TestClient(url, ADMIN_TOKEN).request("PATCH", `/api/entities/User/${user.userId}`, {
    team: "shown",
  });
  await user.insert("Diary", { text: "Dear Canary" });
  return { user, reader };
}

/** Makes the server create every kind of code, token and invitation for an address. */
async function requestCodes(user: TestClient, reader: TestClient, email: string): Promise<void> {
  for (const [path, body] of [
    ["/api/auth/password/reset/request", { email }],
    ["/api/auth/magic-link/send", { email }],
    ["/api/auth/email/send-verification", {}],
  ] as const)
    expect((await user.request("POST", path, body)).status).toBe(200);
  const { body: org } = await reader.request("POST", "/api/auth/orgs", { name: "Acme" });
  const invites = `/api/auth/orgs/${String(org["id"])}/invites`;
  expect((await reader.request("POST", invites, { email })).status).toBe(201);
}

describe("the database", () => {
  test("T18: has hashes in one table only, and no trace of a deleted user's address", async () => {
    const dir = mkdtempSync(join(tmpdir(), "pylon-left-"));
    const file = join(dir, "pylon.db");
    const own = await startServer(appOf(diaries), {
      PYLON_DEV_MODE: "1",
      PYLON_DB_PATH: file,
      PYLON_IN_MEMORY: "0",
    });
    try {
      const email = "canary@example.com";
      const { user, reader } = await writerAndReader(own.url, email);
      const { body: seen } = await reader.request("GET", "/api/sync/pull");
      expect(JSON.stringify(seen)).toContain(email);
      expect(tablesHolding(file, "$argon2")).toEqual(["_pylon_passwords"]);
      await requestCodes(user, reader, email);
      expect(tablesHolding(file, email)).toEqual([
        "User",
        "_pylon_changes",
        "_pylon_codes",
        "_pylon_invitations",
        "_pylon_one_time_tokens",
      ]);
      expect(
        (await user.request("DELETE", "/api/auth/account", { password: PASSWORD })).body,
      ).toEqual({ deleted: true });
      await own.server.maintain();
      expect([tablesHolding(file, email), tablesHolding(file, "Canary")]).toEqual([[], []]);
      // A client that could see the user, and was away meanwhile, receives the delete too.
      const { last_seq: since } = seen["cursor"] as { last_seq: number };
      const { changes } = (await reader.request("GET", `/api/sync/pull?since=${since}`))
        .body as unknown as { changes: object[] };
      expect(changes.length).toBeGreaterThan(0);
      for (const change of changes)
        expect(change).toEqual({
          kind: "delete",
          entity: "User",
          row_id: user.userId,
          seq: expect.any(Number),
          timestamp: expect.any(String),
        });
    } finally {
      await own.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("organizations of a user who leaves", () => {
  const orgsOf = async (person: TestClient): Promise<unknown> =>
    (await person.request("GET", "/api/auth/orgs")).body;

  async function addMember(
    owner: TestClient,
    org: string,
    person: TestClient & { readonly email: string },
    role: string,
  ): Promise<void> {
    const before = mail.countTo(person.email, /token=/);
    await owner.request("POST", `/api/auth/orgs/${org}/invites`, { email: person.email, role });
    const token = /token=([\w-]+)/.exec(
      (await mail.to(person.email, before + 1, /token=/)).text,
    )?.[1];
    expect((await person.request("POST", `/api/auth/invites/${token}/accept`)).status).toBe(200);
  }

  test("keep an owner: the last can't leave; the admin's deletion promotes another", async () => {
    const [owner, member, deputy] = [await signIn(), await signIn(), await signIn()];
    const { body: org } = await owner.request("POST", "/api/auth/orgs", { name: "Acme" });
    const id = org["id"] as string;
    await addMember(owner, id, member, "member");
    await addMember(owner, id, deputy, "admin");
    const refused = await owner.request("DELETE", "/api/auth/account");
    expect([refused.status, codeOf(refused), refused.text]).toEqual([
      409,
      "LAST_OWNER",
      expect.stringContaining("Acme"),
    ]);
    expect((await owner.request("GET", "/api/auth/session")).status).toBe(200);
    expect((await admin.request("DELETE", `/api/admin/users/${owner.userId}`)).body).toEqual({
      deleted: true,
    });
    expect(await orgsOf(deputy)).toMatchObject([{ id, role: "owner" }]);
    expect(await orgsOf(member)).toMatchObject([{ id, role: "member" }]);
    expect(
      (await deputy.request("PATCH", `/api/auth/orgs/${id}`, { name: "Acme & Co." })).status,
    ).toBe(200);
  });

  test("keep an owner when both owners leave at the same time", async () => {
    const withPassword = async (): Promise<TestClient & { readonly email: string }> => {
      const user = await signIn();
      const body = { new_password: PASSWORD };
      const changed = await user.request("POST", "/api/auth/password/change", body);
      return Object.assign(as(changed), { email: user.email });
    };
    const [ann, ben, member] = [await withPassword(), await withPassword(), await signIn()];
    const { body: org } = await ann.request("POST", "/api/auth/orgs", { name: "Twins" });
    await addMember(ann, org["id"] as string, ben, "owner");
    await addMember(ann, org["id"] as string, member, "member");
    const answers = await Promise.all(
      [ann, ben].map((owner) => owner.request("DELETE", "/api/auth/account")),
    );
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.map(codeOf)).toEqual(["LAST_OWNER"]);
    expect(await orgsOf(member)).toMatchObject([{ role: "member" }]);
    const stays = answers[0] === refused[0] ? ann : ben;
    const body = { email: stays.email, password: PASSWORD };
    expect((await nobody.request("POST", "/api/auth/password/login", body)).status).toBe(200);
  });

  test("without an owner, left by an earlier version, can be taken over by an admin", async () => {
    const dir = mkdtempSync(join(tmpdir(), "pylon-ownerless-"));
    const file = join(dir, "pylon.db");
    const own = await startServer(app, {
      PYLON_DEV_MODE: "1",
      PYLON_DB_PATH: file,
      PYLON_IN_MEMORY: "0",
    });
    try {
      const [owner, deputy] = (await Promise.all(
        ["owner@example.com", "deputy@example.com"].map(async (email) => {
          const { body } = await new TestClient(own.url, null).request(
            "POST",
            "/api/auth/magic/send",
            { email },
          );
          const { body: made } = await new TestClient(own.url, null).request(
            "POST",
            "/api/auth/magic/verify",
            { email, code: body["dev_code"] },
          );
          return new TestClient(own.url, made["token"] as string, made["user_id"] as string);
        }),
      )) as [TestClient, TestClient];
      const { body: org } = await owner.request("POST", "/api/auth/orgs", { name: "Acme" });
      const path = `/api/auth/orgs/${String(org["id"])}`;
      const { body: invitation } = await owner.request("POST", `${path}/invites`, {
        email: "deputy@example.com",
        role: "admin",
      });
      await deputy.request("POST", `/api/auth/invites/${String(invitation["dev_token"])}/accept`);
      const rise = (): Promise<Answer> =>
        deputy.request("PATCH", `${path}/members/${deputy.userId}`, { role: "owner" });
      expect((await rise()).status).toBe(403);
      using db = openDatabaseFile(file);
      db.run("DELETE FROM _pylon_members WHERE role = 'owner'");
      expect((await rise()).status).toBe(200);
      expect(await orgsOf(deputy)).toMatchObject([{ role: "owner" }]);
    } finally {
      await own.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test("are deleted if they have no other members", async () => {
    const owner = await signIn();
    const { body: org } = await owner.request("POST", "/api/auth/orgs", { name: "Alone" });
    const guest = await signIn();
    await owner.request("POST", `/api/auth/orgs/${String(org["id"])}/invites`, {
      email: guest.email,
    });
    const token = /token=([\w-]+)/.exec((await mail.to(guest.email, 1, /token=/)).text)?.[1];
    expect((await owner.request("DELETE", "/api/auth/account")).body).toEqual({ deleted: true });
    expect(codeOf(await guest.request("POST", `/api/auth/invites/${token}/accept`))).toBe(
      "INVALID_TOKEN",
    );
  });
});

describe("the export", () => {
  test("T1: has the user's rows, and rows that name the user only if readable", async () => {
    const [reporter, user] = [await signIn(), await signIn()];
    await user.insert("Note", { text: "my own" });
    await reporter.insert("Report", { text: "canary about a user", aboutId: user.userId });
    await reporter.insert("Praise", { text: "well done", aboutId: user.userId });
    const own = await user.request("GET", "/api/auth/account/export");
    expect(own.body["rows"]).toMatchObject({
      Note: [{ text: "my own" }],
      Praise: [{ text: "well done" }],
    });
    expect(own.text).not.toContain("canary");
    expect((await reporter.request("GET", "/api/auth/account/export")).text).toContain("canary");
    expect((await admin.request("GET", `/api/admin/users/${user.userId}/export`)).text).toContain(
      "canary",
    );
  });
});

describe("a guest", () => {
  test("is told that a part of the account needs one", async () => {
    const guest = await TestClient.guest(server.url);
    const { status, body } = await guest.request("POST", "/api/auth/api-keys", { name: "k" });
    expect(status).toBe(401);
    expect(body).toMatchObject({
      error: { code: "AUTH_REQUIRED", message: expect.stringContaining("guest") },
    });
  });

  test("can export its rows and delete itself", async () => {
    const guest = await TestClient.guest(server.url);
    await guest.insert("Note", { text: "a guest's" });
    expect((await guest.request("GET", "/api/auth/account/export")).body).toMatchObject({
      user: null,
      rows: { Note: [{ text: "a guest's" }] },
    });
    expect((await guest.request("DELETE", "/api/auth/account")).body).toEqual({ deleted: true });
    expect((await guest.request("GET", "/api/auth/session")).status).toBe(401);
    expect(
      (await admin.request("POST", "/api/query/Note", { ownerId: guest.userId })).body,
    ).toEqual([] as never);
  });

  test("can be exported and deleted by the admin, like a user", async () => {
    const guest = await TestClient.guest(server.url);
    await guest.insert("Note", { text: "a guest's" });
    expect(
      (await admin.request("GET", `/api/admin/users/${guest.userId}/export`)).body,
    ).toMatchObject({ rows: { Note: [{ text: "a guest's" }] } });
    expect((await admin.request("DELETE", `/api/admin/users/${guest.userId}`)).body).toEqual({
      deleted: true,
    });
    await until(async () => (await guest.request("GET", "/api/auth/session")).status === 401);
    for (const [method, path] of [
      ["GET", `/api/admin/users/${guest.userId}/export`],
      ["DELETE", `/api/admin/users/${guest.userId}`],
    ] as const)
      expect((await admin.request(method, path)).status).toBe(404);
  });
});
