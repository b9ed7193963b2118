import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import { LiveSocket, TestClient, until, type Answer } from "../support/client.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { freePorts } from "../support/servers/free-port.ts";

// The table of section 3 of spec/compat.md, row by row, tested on the shop with its clients'
// requests.

let port: number;
let server: TestServer;
let ann: TestClient;
let admin: TestClient;

beforeAll(async () => {
  port = await freePorts(4);
  const app = await loadApp(join(import.meta.dir, "shop"), { dev: false });
  server = await startServer(app, { PYLON_PORT: String(port), PYLON_DEV_MODE: "true" });
  admin = new TestClient(server.url, ADMIN_TOKEN);
  const { body } = await post("/api/auth/password/register", {
    email: "ann@example.com",
    password: "x8!qzp4w",
  });
  ann = new TestClient(server.url, String(body["token"]), String(body["user_id"]));
  await ann.request("POST", "/api/fn/seedProducts", { count: 150 });
});
afterAll(() => server.stop());

const post = (path: string, body: object): Promise<Answer> =>
  new TestClient(server.url, null).request("POST", path, body);

const product = {
  name: "Chair",
  brand: "Acme",
  color: "red",
  price: 1,
  stock: 1,
  isNew: true,
  createdAt: "2026-01-01T00:00:00Z",
};

test("D1: a list without a limit returns all rows up to the page cap", async () => {
  const { body } = await ann.request("GET", "/api/entities/Product");
  expect(body).toMatchObject({ count: 150, has_more: false });
  expect(body["data"]).toHaveLength(150);
});

test("D2: with an invalid token /me is anonymous, and all other routes reject it", async () => {
  const stale = new TestClient(server.url, "of-last-year");
  expect(await stale.request("GET", "/api/auth/me")).toMatchObject({
    status: 200,
    body: { user_id: null, token_valid: false },
  });
  expect((await stale.request("GET", "/api/entities/Product")).status).toBe(401);
});

test("D3: an older client without a token is closed, and reconnects with one", async () => {
  const early = new LiveSocket(`ws://localhost:${port + 1}/`, null);
  await until(() => early.closed !== null);
  expect(early.closed?.code).toBe(1008);
  const late = new LiveSocket(`ws://localhost:${port + 1}/`, ann.token);
  await late.opened();
  const id = await ann.insert("Product", product);
  await until(() => late.texts.some((text) => text.includes(id)));
  late.close();
  const anonymous = await new TestClient(server.url, null).live(0).ready();
  expect(anonymous.closed).toBeNull();
  anonymous.close();
});

test("D4 and D5: values of the wrong type are rejected with the field's name", async () => {
  expect(await ann.request("POST", "/api/fn/seedProducts", { count: 2.5 })).toMatchObject({
    status: 400,
    body: { error: { code: "INVALID_ARGS", field: "count" } },
  });
  for (const [field, value] of [
    ["stock", 2.5],
    ["createdAt", "not a date"],
  ] as const)
    expect(
      await ann.request("POST", "/api/entities/Product", { ...product, [field]: value }),
    ).toMatchObject({ status: 400, body: { error: { code: "INVALID_DATA", field } } });
});

test("D6: $like matches every character literally", async () => {
  const found = async (text: string): Promise<unknown> =>
    (await ann.request("POST", "/api/query/Product", { name: { $like: text } })).body;
  expect(await found("%amp 00%")).toEqual([]);
  expect(await found("amp 00")).toHaveLength(10);
});

test("D7: a bug in a handler is a 500, and its message is hidden from callers", async () => {
  const production = await startServer(
    await loadApp(join(import.meta.dir, "shop"), { dev: false }),
  );
  const guest = await TestClient.guest(production.url);
  const answer = await guest.request("POST", "/api/fn/breaks", {});
  expect(answer).toMatchObject({ status: 500, body: { error: { code: "HANDLER_ERROR" } } });
  expect(answer.text).not.toContain("mistake of the shop");
  await production.stop();
});

test("D8: bools are true and false", async () => {
  const { body } = await ann.request("GET", "/api/lookup/Product/name/Lamp%20000");
  expect(body["isNew"]).toBe(true);
});

test("D9 and D12: creating a guest returns 201, an id like a row's, and a bare token", async () => {
  const { status, body } = await post("/api/auth/anonymous", {});
  expect(status).toBe(201);
  expect(body["user_id"]).toMatch(/^[0-9a-f]{40}$/);
  expect(body["token"]).not.toMatch(/^pylon_/);
});

test("D10: auth bodies accept the names of the public system", async () => {
  const reset = await post("/api/auth/password/reset/request", { email: "ann@example.com" });
  const done = await post("/api/auth/password/reset/complete", {
    token: reset.body["dev_token"],
    newPassword: "another long word",
  });
  expect(done.status).toBe(200);
  const { body } = await post("/api/auth/password/login", {
    email: "ann@example.com",
    password: "another long word",
  });
  ann = new TestClient(server.url, String(body["token"]), ann.userId);
  const asked = await ann.request("POST", "/api/auth/email/change/request", {
    newEmail: "ann@example.org",
  });
  const changed = await ann.request("POST", "/api/auth/email/change/confirm", {
    token: asked.body["dev_code"],
  });
  expect(changed).toMatchObject({ status: 200, body: { email: "ann@example.org" } });
});

test("D11: a password of eight characters is accepted, and one of seven is not", async () => {
  const register = (email: string, password: string): Promise<Answer> =>
    post("/api/auth/password/register", { email, password });
  expect((await register("a@example.com", "seven77")).body).toMatchObject({
    error: { code: "WEAK_PASSWORD" },
  });
  expect((await register("b@example.com", "x8!qzp4w")).status).toBe(200);
});

test("D13: every caller may push and run transactions, under the policies", async () => {
  const row = { entity: "Product", data: product };
  expect(await ann.request("POST", "/api/transact", [{ op: "insert", ...row }])).toMatchObject({
    status: 200,
    body: { committed: true },
  });
  const changes = [{ ...row, row_id: "pushed", kind: "insert" }];
  expect((await ann.request("POST", "/api/sync/push", { changes })).body["applied"]).toBe(1);
  const nobody = new TestClient(server.url, null);
  expect((await nobody.request("POST", "/api/sync/push", { changes })).body).toMatchObject({
    applied: 0,
    errors: [expect.any(String)],
  });
});

test("D14: without tenantScope no tenant is stamped, and a policy compares it", async () => {
  const erp = await startServer(await loadApp(join(import.meta.dir, "erp"), { dev: false }));
  const guest = await TestClient.guest(erp.url);
  const invoice = { orgId: "other", number: "a", total: 1, createdAt: product.createdAt };
  expect((await guest.request("POST", "/api/entities/Invoice", invoice)).status).toBe(403);
  // D15: hooks receive the row and its context.
  const owner = new TestClient(erp.url, ADMIN_TOKEN);
  const id = await owner.insert("Invoice", invoice);
  const { body } = await owner.request("GET", `/api/entities/Invoice/${id}`);
  expect(body["number"]).toBe("A");
  await erp.stop();
});

test("only the admin may export", async () => {
  expect((await admin.request("GET", "/api/export/Order")).status).toBe(200);
  expect((await ann.request("GET", "/api/export/Order")).status).toBe(403);
});
