import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until, type Answer } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// What apps that were written for the public system require of accounts.

const User = entity("User", {
  email: field.string().unique(),
  displayName: field.string().optional(),
  avatarColor: field.string(),
  passwordHash: field.string(),
  createdAt: field.datetime(),
});
const Org = entity("Org", { name: field.string() });
const OrgMember = entity("OrgMember", { userId: field.string(), orgId: field.string() });
const Note = entity("Note", { text: field.string(), ownerId: field.id("User").owner() });
const Invoice = entity("Invoice", { orgId: field.string(), total: field.int() });
const app = appOf(
  buildManifest({
    name: "erp",
    version: "1.0.0",
    entities: [User, Org, OrgMember, Note, Invoice],
    policies: [
      policy({ name: "users", entity: "User", allowRead: "auth.userId == data.id" }),
      policy({ name: "orgs", entity: "Org", allowRead: "auth.userId != null" }),
      policy({ name: "members", entity: "OrgMember", allowRead: "auth.userId == data.userId" }),
      policy({ name: "notes", entity: "Note", allow: "auth.userId == data.ownerId" }),
      policy({ name: "invoices", entity: "Invoice", allow: "auth.tenantId == data.orgId" }),
    ],
  }),
);

let server: TestServer;
let dev: TestServer;
let admin: TestClient;
let number = 0;

beforeAll(async () => {
  [server, dev] = await Promise.all([
    startServer(app),
    startServer(app, { PYLON_DEV_MODE: "true" }),
  ]);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(async () => {
  await server.stop();
  await dev.stop();
});

async function newUser(url: string): Promise<string> {
  const email = `user${(number += 1)}@example.com`;
  const row = {
    email,
    avatarColor: "#000000",
    passwordHash: "",
    createdAt: "2026-01-01T00:00:00Z",
  };
  return new TestClient(url, ADMIN_TOKEN).insert("User", row);
}

async function signedIn(): Promise<TestClient> {
  const userId = await newUser(server.url);
  const { body } = await admin.request("POST", "/api/auth/session", { user_id: userId });
  return new TestClient(server.url, String(body["token"]), userId);
}

const me = async (client: TestClient): Promise<Answer["body"]> =>
  (await client.request("GET", "/api/auth/me")).body;

/** Another replica learns of it within a second; on Postgres so does this one. */
const lostTenant = (client: TestClient): Promise<void> =>
  until(async () => (await me(client))["tenant_id"] === undefined);

function select(client: TestClient, body: object): Promise<Answer> {
  return client.request("POST", "/api/auth/select-org", body);
}

test("upgrade in dev: a guest's token becomes the user's, who gets its rows", async () => {
  const userId = await newUser(dev.url);
  const guest = await TestClient.guest(dev.url);
  const other = await TestClient.guest(dev.url);
  await guest.insert("Note", { text: "of a guest" });
  const socket = await guest.live(0).ready();
  const { status, body } = await guest.request("POST", "/api/auth/upgrade", { user_id: userId });
  expect([status, body]).toEqual([
    200,
    { upgraded: true, user_id: userId, token: guest.token, expires_at: expect.any(Number) },
  ]);
  expect(await me(guest)).toEqual({ user_id: userId, is_admin: false, roles: [] });
  const { body: notes } = await guest.request("GET", "/api/entities/Note");
  expect(notes["data"]).toMatchObject([{ text: "of a guest", ownerId: userId }]);
  // An open connection must show the rows of the user, too.
  await until(() => socket.closed !== null || socket.texts.some((text) => /resync/.test(text)));
  socket.close();
  expect(await me(other)).toMatchObject({ user_id: other.userId, is_guest: true });
});

test("upgrade in dev: a user can switch to another, and rows stay with their owner", async () => {
  const [ann, ben] = [await newUser(dev.url), await newUser(dev.url)];
  const client = await TestClient.guest(dev.url);
  await client.request("POST", "/api/auth/upgrade", { user_id: ann });
  await client.insert("Note", { text: "of ann" });
  await client.request("POST", "/api/auth/upgrade", { user_id: ben });
  expect(await me(client)).toMatchObject({ user_id: ben });
  expect((await client.request("GET", "/api/entities/Note")).body["data"]).toEqual([]);
  await client.request("POST", "/api/auth/upgrade", { user_id: ann });
  expect((await client.request("GET", "/api/entities/Note")).body["data"]).toHaveLength(1);
});

test("upgrade in dev mode: reports missing input, elsewhere is only for the admin", async () => {
  const guest = await TestClient.guest(dev.url);
  const ask = (client: TestClient, body: object): Promise<Answer> =>
    client.request("POST", "/api/auth/upgrade", body);
  expect(await ask(guest, {})).toMatchObject({
    status: 400,
    body: { error: { code: "MISSING_USER_ID" } },
  });
  expect(await ask(new TestClient(dev.url, null), { user_id: "ann" })).toMatchObject({
    status: 400,
    body: { error: { code: "UPGRADE_FAILED" } },
  });
  expect(await ask(await TestClient.guest(server.url), { user_id: "ann" })).toMatchObject({
    status: 403,
    body: { error: { code: "FORBIDDEN" } },
  });
});

const PASSWORD = "correct horse battery";
const address = (): string => `new${(number += 1)}@example.com`;

async function byPassword(email: string, token: string | null, extra = {}): Promise<TestClient> {
  const body = { email, password: PASSWORD, ...extra };
  const client = new TestClient(dev.url, token);
  const answer = await client.request("POST", "/api/auth/password/register", body);
  expect(answer).toMatchObject({ status: 200 });
  return new TestClient(dev.url, String(answer.body["token"]), String(answer.body["user_id"]));
}

async function byCode(email: string): Promise<TestClient> {
  const nobody = new TestClient(dev.url, null);
  const { body: sent } = await nobody.request("POST", "/api/auth/magic/send", { email });
  const { body } = await nobody.request("POST", "/api/auth/magic/verify", {
    email,
    code: sent["dev_code"],
  });
  return new TestClient(dev.url, String(body["token"]), String(body["user_id"]));
}

test("user fields: address and password can change with the names that pages send", async () => {
  const client = await byPassword(address(), null);
  const ask = async (path: string, body: object): Promise<Answer["body"]> => {
    const answer = await client.request("POST", `/api/auth/${path}`, body);
    expect(answer).toMatchObject({ status: 200 });
    return answer.body;
  };
  const newEmail = address();
  const password = PASSWORD;
  const { dev_code: token } = await ask("email/change/request", { newEmail, password });
  expect(await ask("email/change/confirm", { token })).toMatchObject({ email: newEmail });
  const { dev_token: reset } = await ask("password/reset/request", { email: newEmail });
  await ask("password/reset/complete", { token: reset, newPassword: "another good one" });
  const again = { email: newEmail, password: "another good one" };
  const signedInAgain = await new TestClient(dev.url, null).request(
    "POST",
    "/api/auth/password/login",
    again,
  );
  expect(signedInAgain.status).toBe(200);
});

const rowOf = async (client: TestClient): Promise<Answer["body"]> =>
  (await client.request("GET", `/api/entities/User/${client.userId}`)).body;

test("user fields are filled by a sign-up by password, by code, and of a guest", async () => {
  const guest = await TestClient.guest(dev.url);
  await guest.insert("Note", { text: "of a guest" });
  const emails = [address(), address(), address()] as const;
  const users = [
    await byPassword(emails[0], null),
    await byCode(emails[1]),
    await byPassword(emails[2], guest.token),
  ];
  for (const [at, user] of users.entries()) {
    const row = await rowOf(user);
    expect(row).toEqual({
      id: user.userId,
      email: emails[at],
      displayName: emails[at]?.split("@")[0],
      avatarColor: expect.stringMatching(/^#[0-9a-f]{6}$/),
      createdAt: expect.stringMatching(/^20/),
    });
  }
  expect(users[2]?.userId).toBe(guest.userId);
  expect(await rowOf(await byPassword(address(), null, { displayName: "Ann" }))).toMatchObject({
    displayName: "Ann",
  });
});

test("user fields contain no hash: passwords are checked against a separate table", async () => {
  const email = address();
  const user = await byPassword(email, null);
  const login = async (password: string): Promise<number> =>
    (
      await new TestClient(dev.url, null).request("POST", "/api/auth/password/login", {
        email,
        password,
      })
    ).status;
  expect([await login(PASSWORD), await login(""), await login("wrong one")]).toEqual([
    200, 400, 401,
  ]);
  // A hash that an earlier version or an import left in the row is accepted, and moved.
  const passwordHash = await Bun.password.hash("of an import");
  const path = `/api/entities/User/${user.userId}`;
  await new TestClient(dev.url, ADMIN_TOKEN).request("PATCH", path, { passwordHash });
  expect(await login(PASSWORD)).toBe(401);
  expect(await login("of an import")).toBe(200);
  expect(await login("of an import")).toBe(200);
});

async function member(): Promise<{ client: TestClient; org: string; membership: string }> {
  const client = await signedIn();
  const org = await admin.insert("Org", { name: "Acme" });
  const membership = await admin.insert("OrgMember", { userId: client.userId, orgId: org });
  return { client, org, membership };
}

test("OrgMember: select-org accepts orgId and org_id, and an explicit null", async () => {
  const { client, org } = await member();
  for (const body of [{ orgId: org }, { org_id: org }]) {
    expect(await select(client, body)).toMatchObject({
      status: 200,
      body: { tenantId: org, tenant_id: org },
    });
    expect(await me(client)).toMatchObject({ tenant_id: org });
    expect((await select(client, { orgId: null })).body).toMatchObject({ tenantId: null });
    expect((await me(client))["tenant_id"]).toBeUndefined();
  }
});

test("OrgMember: a body of select-org without an id changes nothing", async () => {
  const { client, org } = await member();
  await select(client, { orgId: org });
  for (const body of [{}, { tenant_id: "x" }])
    expect(await select(client, body)).toMatchObject({
      status: 400,
      body: { error: { code: "MISSING_ORG_ID", field: "orgId" } },
    });
  expect(await me(client)).toMatchObject({ tenant_id: org });
});

test("OrgMember: a user who is not a member is rejected", async () => {
  const { org } = await member();
  const stranger = await signedIn();
  expect(await select(stranger, { orgId: org })).toMatchObject({
    status: 403,
    body: { error: { code: "NOT_A_MEMBER" } },
  });
  expect((await me(stranger))["tenant_id"]).toBeUndefined();
});

test("OrgMember: a row does not make a user a member of a built-in organization", async () => {
  const [owner, stranger] = [await signedIn(), await signedIn()];
  const { body } = await owner.request("POST", "/api/auth/orgs", { name: "Kept" });
  const row = await admin.insert("OrgMember", { userId: stranger.userId, orgId: body["id"] });
  expect(await select(stranger, { orgId: body["id"] })).toMatchObject({ status: 403 });
  await admin.insert("OrgMember", { userId: owner.userId, orgId: body["id"] });
  await select(owner, { orgId: body["id"] });
  await admin.request("DELETE", `/api/entities/OrgMember/${row}`);
  expect(await me(owner)).toMatchObject({ tenant_id: body["id"], roles: ["org:owner"] });
});

test("OrgMember: a removed member loses the tenant, on connections and with keys too", async () => {
  const { client, org, membership } = await member();
  await admin.insert("Invoice", { orgId: org, total: 7 });
  await select(client, { orgId: org });
  const { body: made } = await client.request("POST", "/api/auth/api-keys", { name: "a key" });
  const key = new TestClient(server.url, String(made["key"]));
  const invoices = async (by: TestClient): Promise<unknown> =>
    (await by.request("GET", "/api/entities/Invoice")).body["data"];
  expect([await invoices(client), await invoices(key)]).toMatchObject([
    [{ total: 7 }],
    [{ total: 7 }],
  ]);
  const socket = await client.live(0).ready();
  await admin.request("DELETE", `/api/entities/OrgMember/${membership}`);
  await lostTenant(client);
  expect(await invoices(client)).toEqual([]);
  await until(async () => (await key.request("GET", "/api/entities/Invoice")).status === 401);
  await until(() => socket.closed !== null || socket.texts.some((text) => /resync/.test(text)));
  socket.close();
});

test("OrgMember: a row that changes its user ends a membership if no other remains", async () => {
  const { client, org, membership } = await member();
  const second = await admin.insert("OrgMember", { userId: client.userId, orgId: org });
  await select(client, { orgId: org });
  const path = `/api/entities/OrgMember/${membership}`;
  await admin.request("PATCH", path, { userId: "somebody else" });
  expect(await me(client)).toMatchObject({ tenant_id: org });
  await admin.request("PATCH", `/api/entities/OrgMember/${second}`, { orgId: "another" });
  await lostTenant(client);
});

test("GET /api/auth/me reports an invalid token; all other routes reject it", async () => {
  const user = await signedIn();
  await user.request("DELETE", "/api/auth/session");
  for (const client of [user, new TestClient(server.url, "never was one")]) {
    expect(await client.request("GET", "/api/auth/me")).toMatchObject({
      status: 200,
      body: { user_id: null, is_admin: false, roles: [], token_valid: false },
    });
    for (const path of ["/api/auth/session", "/api/entities/Org", "/api/sync/pull"])
      expect((await client.request("GET", path)).status).toBe(401);
  }
  const nobody = await new TestClient(server.url, null).request("GET", "/api/auth/me");
  expect(nobody.body).toEqual({ user_id: null, is_admin: false, roles: [] });
});

test("a list without a limit has up to 1,000 rows, and says whether there are more", async () => {
  const rows = Array.from({ length: 1001 }, (_, at) => ({ name: `Org ${at}` }));
  const reader = await signedIn();
  const before = (await reader.request("GET", "/api/entities/Org")).body["data"] as unknown[];
  const operations = rows.map((data) => ({ op: "insert", entity: "Org", data }));
  for (const part of [operations.slice(0, 500), operations.slice(500)])
    expect((await admin.request("POST", "/api/batch", { operations: part })).status).toBe(200);
  const { body } = await reader.request("GET", "/api/entities/Org");
  expect(body).toMatchObject({ count: 1000, limit: 1000, has_more: true });
  const rest = await reader.request("GET", "/api/entities/Org?offset=1000");
  expect(rest.body).toMatchObject({ count: before.length + 1, has_more: false });
  expect((await reader.request("GET", "/api/entities/Org?limit=2")).body).toMatchObject({
    count: 2,
    limit: 2,
  });
});

test("at the start an ignored variable is reported with its replacement", async () => {
  const own = await startServer(app, { PYLON_SESSION_DB: "s.db", PYLON_STRIPE_API_KEY: "sk" });
  const unread = own.server.diagnostics.filter(({ code }) => code === "VARIABLE_NOT_READ");
  expect(unread).toMatchObject([
    {
      severity: "warning",
      code: "VARIABLE_NOT_READ",
      message: expect.stringContaining("PYLON_SESSION_DB"),
    },
    {
      severity: "warning",
      code: "VARIABLE_NOT_READ",
      message: expect.stringContaining("PYLON_STRIPE_API_KEY"),
    },
  ]);
  await own.stop();
});
