import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { stripe } from "@pylonsync/functions/plugins";
import {
  auditLog,
  featureFlags,
  softDelete,
  tenantScope,
  versioning,
} from "@pylonsync/sdk/plugins";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

// Who may do what and why, and whether an index finds the rows.

const app = appOf(
  buildManifest({
    name: "explain",
    version: "1.0.0",
    entities: [
      entity("Member", { channelId: field.string(), userId: field.string() }),
      entity(
        "Message",
        { channelId: field.string(), ownerId: field.string(), note: field.string().optional() },
        { indexes: [{ name: "by_owner", fields: ["ownerId"], unique: false }] },
      ),
      entity("Bare", {
        userId: field.string(),
        tenantId: field.string(),
        n: field.int(),
      }),
      entity("Open", { userId: field.string(), n: field.int() }),
      entity(
        "Own",
        { ownerId: field.string().owner() },
        {
          indexes: [{ name: "by_owner", fields: ["ownerId"], unique: false }],
        },
      ),
    ],
    policies: [
      policy({
        name: "members",
        entity: "Message",
        allow: "exists(Member, channelId == data.channelId && userId == auth.userId)",
        fields: {
          note: {
            allowRead: "auth.hasRole('editor')",
            allowUpdate: "data.ownerId == auth.userId",
          },
        },
      }),
      policy({
        name: "not_guests",
        entity: "Message",
        restrict: true,
        allowWrite: "auth.claims.plan == 'pro'",
      }),
      policy({ name: "own", entity: "Own", allow: "data.ownerId == auth.userId" }),
      policy({
        name: "bare",
        entity: "Bare",
        allow: "(auth.userId == data.userId || data.tenantId == auth.tenantId) && data.n > 0",
      }),
      policy({ name: "open", entity: "Open", allow: "data.userId == auth.userId || data.n > 0" }),
    ],
  }),
);
let server: TestServer;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

async function explain(asked: object): Promise<Readonly<Record<string, unknown>>> {
  const { status, body } = await admin.request("POST", "/api/admin/explain", asked);
  expect(status).toBe(200);
  return body;
}

test("each policy says whether it allows, refuses or depends on the row", async () => {
  const ann = await explain({ entity: "Message", as: "ann" });
  expect(ann).toMatchObject({
    entity: "Message",
    row: null,
    closed_fields: ["note"],
    access: {
      read: { outcome: "depends", policies: [{ name: "members", outcome: "depends" }] },
      update: {
        outcome: "refused",
        policies: [
          { name: "members", restrict: false, outcome: "depends" },
          { name: "not_guests", restrict: true, outcome: "refused" },
        ],
      },
    },
  });
  const nobody = await explain({ entity: "Message" });
  expect(nobody).toMatchObject({ access: { read: { outcome: "refused" } } });
  const editor = await explain({
    entity: "Message",
    as: { userId: "ann", roles: ["editor"], claims: { plan: "pro" } },
  });
  expect(editor).toMatchObject({
    closed_fields: [],
    access: { update: { policies: [{}, { name: "not_guests", outcome: "allowed" }] } },
  });
  expect(await explain({ entity: "Member", as: "ann" })).toMatchObject({
    access: { read: { outcome: "refused", policies: [] } },
  });
});

test("for a row it says which policies hold, with the claims stored on the server", async () => {
  const message = await admin.insert("Message", { channelId: "c1", ownerId: "bob" });
  const asked = { entity: "Message", as: "ann", id: message };
  expect(await explain(asked)).toMatchObject({
    row: "found",
    access: { read: { outcome: "refused", policies: [{ outcome: "refused" }] } },
  });
  await admin.insert("Member", { channelId: "c1", userId: "ann" });
  await admin.request("PUT", "/api/admin/users/ann/claims", { claims: { plan: "pro" } });
  expect(await explain(asked)).toMatchObject({
    access: { read: { outcome: "allowed" }, update: { outcome: "allowed" } },
  });
  expect(await explain({ ...asked, id: "0".repeat(40) })).toMatchObject({ row: "missing" });
});

test("the policies of single fields are explained, for reads and for writes", async () => {
  const id = await admin.insert("Message", { channelId: "c2", ownerId: "bob" });
  expect((await explain({ entity: "Message", as: "ann" }))["fields"]).toEqual({
    note: {
      read: {
        outcome: "refused",
        policies: [
          {
            name: "members",
            rule: "auth.hasRole('editor')",
            restrict: true,
            outcome: "refused",
          },
        ],
      },
      insert: { outcome: "allowed", policies: [] },
      update: {
        outcome: "depends",
        policies: [
          {
            name: "members",
            rule: "data.ownerId == auth.userId",
            restrict: true,
            outcome: "depends",
          },
        ],
      },
    },
  });
  for (const [as, outcome] of [
    ["ann", "refused"],
    ["bob", "allowed"],
    [{ userId: "root", isAdmin: true }, "allowed"],
  ])
    expect(await explain({ entity: "Message", as, id })).toMatchObject({
      fields: { note: { update: { outcome } } },
    });
});

test("it names the tables that are scanned without an index", async () => {
  expect((await explain({ entity: "Own", as: "ann" }))["list"]).toMatchObject({
    sql: expect.stringContaining('FROM "Own"'),
    scans: [],
  });
  const { list } = await explain({ entity: "Message", as: "ann" });
  expect(list).toMatchObject({ scans: expect.arrayContaining(["Member"]) });
  expect(JSON.stringify(list)).not.toContain('"ann"');
});

test("it is only for admins, and names the invalid part of a request", async () => {
  const guest = await TestClient.guest(server.url);
  expect((await guest.request("POST", "/api/admin/explain", { entity: "Own" })).status).toBe(403);
  for (const [asked, status, field] of [
    [{ entity: "Owm" }, 404, "entity"],
    [{ entity: 5 }, 400, "entity"],
    [{ entity: "Own", as: { name: "ann" } }, 400, "as"],
    [{ entity: "Own", id: "../x" }, 400, "id"],
    [{ entity: "Own", of: "ann" }, 400, "of"],
  ] as const) {
    const answer = await admin.request("POST", "/api/admin/explain", asked);
    expect([answer.status, Object(answer.body["error"])["field"]]).toEqual([status, field]);
  }
});

test("in dev mode the start warns of a read rule without a usable index", async () => {
  const dev = await startServer(app, { PYLON_DEV_MODE: "1" });
  const warnings = dev.server.diagnostics.filter(({ code }) => code === "POLICY_NO_INDEX");
  expect(warnings).toMatchObject([
    { severity: "warning", path: "entities.Member", message: expect.stringContaining("Message") },
    {
      path: "entities.Bare",
      message: expect.stringContaining("userId and tenantId"),
      hint: expect.stringContaining(".index()"),
    },
  ]);
  await dev.stop();
});

test("the first start with a new index does not warn any more", async () => {
  const own = (ownerId: ReturnType<typeof field.string>) =>
    appOf(
      buildManifest({
        name: "own",
        version: "1.0.0",
        entities: [
          entity("Note", { ownerId, tenantId: field.string().index() }),
          entity("Both", { ownerId: field.string(), tenantId: field.string().index() }),
        ],
        policies: [
          policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
          policy({
            name: "both",
            entity: "Both",
            allow: "auth.userId == data.ownerId && auth.tenantId == data.tenantId",
          }),
        ],
      }),
    );
  const dir = mkdtempSync(join(tmpdir(), "pylon-explain-"));
  const env = {
    PYLON_DEV_MODE: "1",
    ...(process.env["PYLON_TEST_STORE"] === "postgres"
      ? { DATABASE_URL: await createDatabase(sharedPostgresUrl()) }
      : { PYLON_IN_MEMORY: "0", PYLON_DB_PATH: join(dir, "pylon.db") }),
  };
  const warnings: (readonly string[])[] = [];
  for (const ownerId of [field.string(), field.string().index()]) {
    const dev = await startServer(own(ownerId), env);
    if (warnings.length === 0)
      await new TestClient(dev.url, ADMIN_TOKEN).insert("Note", { ownerId: "a", tenantId: "t" });
    warnings.push(
      dev.server.diagnostics.flatMap(({ code, path }) =>
        code === "POLICY_NO_INDEX" ? [path ?? ""] : [],
      ),
    );
    await dev.stop();
  }
  expect(warnings).toEqual([["entities.Note"], []]);
  rmSync(dir, { recursive: true });
});

test("the entities and the policies of plugins need no index of the app", async () => {
  const Task = entity("Task", { title: field.string(), ownerId: field.string().owner().index() });
  const withPlugins = buildManifest({
    name: "plugins",
    version: "1.0.0",
    entities: [Task],
    policies: [policy({ name: "own", entity: "Task", allow: "auth.userId == data.ownerId" })],
    plugins: [
      auditLog(),
      featureFlags(),
      softDelete({ entities: ["Task"] }),
      stripe(),
      tenantScope({ entities: ["Task"] }),
      versioning({ entities: ["Task"] }),
    ],
  });
  const dev = await startServer(appOf(withPlugins), { PYLON_DEV_MODE: "1" });
  expect(dev.server.diagnostics.filter(({ code }) => code === "POLICY_NO_INDEX")).toEqual([]);
  await dev.stop();
});
