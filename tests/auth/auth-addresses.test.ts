import { afterAll, beforeAll, expect, test } from "bun:test";
import { mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// The address by which a user is found, no matter how it was written.

const manifest = buildManifest({
  name: "shop",
  version: "1.0.0",
  entities: [
    entity("User", { email: field.string().unique(), emailVerified: field.bool().default(false) }),
  ],
  policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
});
const rename = mutation({
  args: { id: v.string(), email: v.string() },
  handler: async (ctx, { id, email }) => ctx.db.update("User", id, { email }),
});

let server: TestServer;
let nobody: TestClient;
let admin: TestClient;

beforeAll(async () => {
  server = await startServer(appOf(manifest, { rename }), { PYLON_DEV_MODE: "1" });
  nobody = new TestClient(server.url, null);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

async function byCode(email: string): Promise<TestClient> {
  const { body: sent } = await nobody.request("POST", "/api/auth/magic/send", { email });
  const { body } = await nobody.request("POST", "/api/auth/magic/verify", {
    email,
    code: sent["dev_code"],
  });
  return new TestClient(server.url, body["token"] as string, body["user_id"] as string);
}

test("an address that the admin or a function writes is normalized, but not verified", async () => {
  const user = await byCode("ann@example.com");
  const row = async (): Promise<unknown> =>
    (await admin.request("GET", `/api/entities/User/${user.userId}`)).body;
  const write = (patch: object): Promise<unknown> =>
    admin.request("PATCH", `/api/entities/User/${user.userId}`, patch);
  expect(await row()).toMatchObject({ email: "ann@example.com", emailVerified: true });
  await write({ email: " ANN@example.com " });
  expect(await row()).toMatchObject({ email: "ann@example.com", emailVerified: true });
  await write({ email: "Bob@Example.com" });
  expect(await row()).toMatchObject({ email: "bob@example.com", emailVerified: false });
  await write({ email: "Bo@Example.com", emailVerified: true });
  expect(await row()).toMatchObject({ email: "bo@example.com", emailVerified: true });
  expect(
    (await admin.request("POST", "/api/fn/rename", { id: user.userId, email: "Cid@Example.com" }))
      .status,
  ).toBe(200);
  expect(await row()).toMatchObject({ email: "cid@example.com", emailVerified: false });
  // Its owner signs in as this user, and no second user is created.
  expect((await byCode("cid@example.com")).userId).toBe(user.userId);
  expect(await row()).toMatchObject({ emailVerified: true });
});

test("a user that the admin creates is found by the address in any spelling", async () => {
  const { body } = await admin.request("POST", "/api/entities/User", { email: "Zoe@Example.com" });
  expect((await byCode("ZOE@example.com")).userId).toBe(body["id"] as string);
});

test.each([
  ["mary.o'brien@example.com", "mary.o'brien@example.com"],
  ["r&d@example.com", "r&d@example.com"],
  ["bounce+user=host@example.com", "bounce+user=host@example.com"],
  ["info@münchen.de", "info@xn--mnchen-3ya.de"],
  ["josé@example.com", "josé@example.com"],
])("U: %s signs up, and is one user in every spelling", async (email, kept) => {
  const first = await byCode(email);
  expect((await byCode(kept.toUpperCase())).userId).toBe(first.userId);
  expect((await byCode(` ${email}`)).userId).toBe(first.userId);
  const { body } = await admin.request("GET", `/api/entities/User/${first.userId}`);
  expect(body).toMatchObject({ email: kept, emailVerified: true });
});
