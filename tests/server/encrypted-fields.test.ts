// An encrypted field is plain text for those who may read it, and unreadable in the database.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mutation, query, v } from "@pylonsync/functions";
import { bearerProtocol, LIVE_PROTOCOL } from "@pylonsync/protocol";
import {
  buildManifest,
  dataMigration,
  definePlugin,
  entity,
  field,
  policy,
  relation,
  type Entity,
  type Plugin,
} from "@pylonsync/sdk";
import { auditLog, versioning } from "@pylonsync/sdk/plugins";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client } from "pg";
import { TestClient, until } from "../support/client.ts";
import { openDatabaseFile } from "../support/database-file.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

const USES_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const KEY = "a key of more than thirty-two characters";
const TAX = "tax-number-12/345/678";

type Row = Readonly<Record<string, unknown>>;

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A database that a test can look into. */
interface TestDatabase {
  readonly env: Readonly<Record<string, string>>;
  /** All that is stored, as text. */
  readonly content: () => Promise<string>;
  /** Runs a statement behind the server's back. */
  readonly run: (sql: string) => Promise<void>;
}

async function newDatabase(): Promise<TestDatabase> {
  if (USES_POSTGRES) {
    const url = await createDatabase(sharedPostgresUrl());
    const rowsOf = async (sql: string): Promise<Record<string, string>[]> => {
      const client = new Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query<Record<string, string>>(sql);
      await client.end();
      return rows;
    };
    return {
      env: { DATABASE_URL: url },
      content: async () => {
        const tables = await rowsOf(
          "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'",
        );
        const texts = await Promise.all(
          tables.map(({ name }) => rowsOf(`SELECT t::text AS row FROM ${name} AS t`)),
        );
        return texts
          .flat()
          .map(({ row }) => row)
          .join("\n");
      },
      run: async (sql) => void (await rowsOf(sql)),
    };
  }
  const folder = mkdtempSync(join(tmpdir(), "pylon-encrypted-"));
  folders.push(folder);
  const path = join(folder, "app.db");
  return {
    env: { PYLON_DB_PATH: path, PYLON_IN_MEMORY: "0" },
    content: () =>
      Promise.resolve(
        readdirSync(folder)
          .filter((name) => name.startsWith("app.db"))
          .map((name) => readFileSync(join(folder, name), "latin1"))
          .join("\n"),
      ),
    run: (sql) => {
      const database = openDatabaseFile(path);
      database.run(sql);
      database.close();
      return Promise.resolve();
    },
  };
}

const Person = (): Entity =>
  entity(
    "Person",
    {
      name: field.string(),
      taxNumber: field.encrypted().max(40).optional(),
      bossId: field.id("Person").optional(),
    },
    { relations: [relation({ name: "boss", target: "Person", field: "bossId" })] },
  );

const manifestOf = (
  entities: readonly Entity[] = [Person()],
  plugins: readonly Plugin[] = [],
  hasTaxNumber = true,
) =>
  buildManifest({
    name: "people",
    version: "1.0.0",
    entities: [...entities],
    policies: [
      policy({
        name: "people",
        entity: "Person",
        allow: "auth.userId != null",
        ...(hasTaxNumber
          ? { fields: { taxNumber: { allowRead: "auth.userId != null && !auth.isGuest" } } }
          : {}),
      }),
    ],
    plugins: [...plugins],
  });

describe("an app with an encrypted field", () => {
  /** What the hooks of the app received. */
  const hooked: unknown[] = [];
  const plugin = definePlugin({
    name: "watch",
    hooks: {
      beforeInsert: (row, { entity: written }) => {
        if (written === "Person") hooked.push(row["taxNumber"]);
        return row;
      },
      afterUpdate: (row, before) => void hooked.push([before["taxNumber"], row["taxNumber"]]),
      afterDelete: (before) => void hooked.push(before["taxNumber"]),
    },
  });
  const functions = {
    taxOf: query({
      args: { id: v.string() },
      handler: async (ctx, { id }) => [
        (await ctx.db.get("Person", id))?.["taxNumber"],
        (await ctx.db.query("Person", { id })).map((row) => row["taxNumber"]),
      ],
    }),
    change: mutation({
      args: { id: v.string(), to: v.string() },
      handler: async (ctx, { id, to }) => {
        await ctx.db.update("Person", id, { taxNumber: to });
        return (await ctx.db.get("Person", id))?.["taxNumber"];
      },
    }),
  };
  let database: TestDatabase;
  let server: TestServer;
  let admin: TestClient;
  let guest: TestClient;
  let id: string;

  beforeAll(async () => {
    database = await newDatabase();
    const plugins = [plugin, auditLog(), versioning({ entities: ["Person"] })];
    server = await startServer(appOf(manifestOf(undefined, plugins), functions), {
      ...database.env,
      PYLON_SSO_ENCRYPTION_KEY: KEY,
    });
    admin = new TestClient(server.url, ADMIN_TOKEN);
    guest = await TestClient.guest(server.url);
    id = await admin.insert("Person", { name: "Ada", taxNumber: TAX });
    await admin.insert("Person", { name: "Eve", bossId: id });
  });
  afterAll(() => server.stop());

  test("a caller who may read it gets the plain text, by every route", async () => {
    const answers = await Promise.all([
      admin.request("GET", `/api/entities/Person/${id}`),
      admin.request("GET", "/api/entities/Person"),
      admin.request("POST", "/api/query/Person", { name: "Ada" }),
      admin.request("POST", "/api/query/Person", { $include: { boss: {} }, name: "Eve" }),
      admin.request("GET", "/api/lookup/Person/name/Ada"),
      admin.request("POST", "/api/page/Person", {}),
      admin.request("GET", "/api/sync/pull?since=0"),
      admin.request("GET", "/api/export"),
      admin.request("POST", "/api/fn/taxOf", { id }),
    ]);
    for (const { status, text } of answers) {
      expect([text, status]).toEqual([text, 200]);
      expect(text).toContain(TAX);
      expect(text).not.toContain("enc:");
    }
    expect(answers.at(-1)?.text).toBe(JSON.stringify([TAX, [TAX]]));
    const { body } = await guest.request("GET", `/api/entities/Person/${id}`);
    expect(Object.keys(body)).toEqual(expect.not.arrayContaining(["taxNumber"]));
  });

  test("live clients get it, also when another field of the row changes", async () => {
    const texts: string[] = [];
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`, [
      LIVE_PROTOCOL,
      bearerProtocol(ADMIN_TOKEN),
    ]);
    socket.onmessage = ({ data }) => texts.push(String(data));
    await until(() => texts.some((text) => text.includes("hello")));
    socket.send(JSON.stringify({ type: "subscribe", id: 1, entity: "Person" }));
    await until(() => texts.some((text) => text.includes("ready")));
    expect(texts.join("\n")).toContain(TAX);
    const started = texts.length;
    await admin.request("PATCH", `/api/entities/Person/${id}`, { name: "Ada L." });
    await admin.request("PATCH", `/api/entities/Person/${id}`, { taxNumber: `${TAX}-9` });
    await until(() => texts.some((text) => text.includes(`${TAX}-9`)));
    await admin.request("PATCH", `/api/entities/Person/${id}`, { taxNumber: TAX, name: "Ada" });
    await until(() => texts.some((text) => text.includes(`"name":"Ada"`)));
    const later = texts.slice(started);
    expect(later.find((text) => text.includes("Ada L."))).not.toContain("taxNumber");
    expect(texts.join("\n")).not.toContain("enc:");
    socket.close();
  });

  test("an equal value changes nothing, and conditions compare the plain text", async () => {
    const headOf = async (): Promise<unknown> =>
      (await admin.request("GET", "/api/sync/pull?since=0")).body["cursor"];
    const before = await headOf();
    await admin.request("PATCH", `/api/entities/Person/${id}`, { taxNumber: TAX });
    expect(await headOf()).toEqual(before);
    const updateIf = async (taxNumber: string): Promise<string> => {
      const change = { entity: "Person", row_id: id, kind: "update", data: { name: "Ada" } };
      const { text } = await admin.request("POST", "/api/sync/push", {
        changes: [{ ...change, if_unchanged: { taxNumber } }],
        results: true,
      });
      return text;
    };
    expect(await updateIf(TAX)).not.toContain("ROW_CHANGED");
    expect(await updateIf("x")).toContain("ROW_CHANGED");
  });

  test("hooks and functions use the plain text; the database never contains it", async () => {
    hooked.length = 0;
    const gone = await admin.insert("Person", { name: "Gone", taxNumber: `${TAX}-gone` });
    const changed = await admin.request("POST", "/api/fn/change", { id: gone, to: `${TAX}-to` });
    expect(changed.text).toBe(JSON.stringify(`${TAX}-to`));
    await admin.request("DELETE", `/api/entities/Person/${gone}`);
    expect(hooked).toEqual([`${TAX}-gone`, [`${TAX}-gone`, `${TAX}-to`], `${TAX}-to`]);
    const content = await database.content();
    expect(content).toContain("Gone");
    expect(content).toContain("enc:v1.");
    expect(content).not.toContain(TAX);
    const [version] = (await admin.request("GET", "/api/entities/RowVersion")).body[
      "data"
    ] as Row[];
    expect(Object.keys(version?.["data"] as Row)).not.toContain("taxNumber");
  });

  test.each<[string, unknown]>([
    ["/api/query/Person", { taxNumber: TAX }],
    ["/api/query/Person", { taxNumber: { $in: [TAX] } }],
    ["/api/query/Person", { taxNumber: { $startsWith: "t" } }],
    ["/api/query/Person", { taxNumber: { $has: "t" } }],
    ["/api/query/Person", { $order: { taxNumber: "asc" } }],
    [`/api/lookup/Person/taxNumber/${encodeURIComponent(TAX)}`, undefined],
    ["/api/aggregate/Person", { count: true, groupBy: ["taxNumber"] }],
    ["/api/aggregate/Person", { max: ["taxNumber"] }],
  ])("queries can't use its value: %s %j", async (path, body) => {
    const method = body === undefined ? "GET" : "POST";
    const { status, body: answer } = await admin.request(method, path, body);
    const { code, message } = answer["error"] as Record<string, string>;
    expect([message, status, code]).toEqual([message, 400, "INVALID_QUERY"]);
    expect(message).toContain("taxNumber");
  });

  test("queries can test whether there is a value", async () => {
    const { body } = await admin.request("POST", "/api/query/Person", { taxNumber: null });
    expect((body as unknown as Row[]).map(({ name }) => name)).toEqual(["Eve"]);
  });

  test.each([
    ["x".repeat(41), "at most 40"],
    ["enc:v1.abc", 'begins with "enc:"'],
    [7, "not a string"],
  ])("a value that it can't hold is rejected: %j", async (taxNumber, reason) => {
    const { status, body } = await admin.request("POST", "/api/entities/Person", {
      name: "x",
      taxNumber,
    });
    const { field: named, message } = body["error"] as Record<string, string>;
    expect([status, named]).toEqual([400, "taxNumber"]);
    expect(message).toContain(reason);
  });
});

test("a server without the key, or with another one, does not start", async () => {
  const database = await newDatabase();
  const app = appOf(manifestOf());
  const start = (key: Readonly<Record<string, string>>): Promise<TestServer> =>
    startServer(app, { ...database.env, ...key });
  await expect(start({})).rejects.toThrow("PYLON_SSO_ENCRYPTION_KEY");
  const server = await start({ PYLON_SSO_ENCRYPTION_KEY: KEY });
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const id = await admin.insert("Person", { name: "Ada", taxNumber: TAX });
  await server.stop();
  await expect(start({ PYLON_SSO_ENCRYPTION_KEY: `${KEY}!` })).rejects.toThrow("another key");
  const again = await start({ PYLON_SSO_ENCRYPTION_KEY: KEY });
  const { text } = await new TestClient(again.url, ADMIN_TOKEN).request(
    "GET",
    `/api/entities/Person/${id}`,
  );
  expect(text).toContain(TAX);
  await again.stop();
});

test("a value that was moved to another row of the database is not decrypted there", async () => {
  const database = await newDatabase();
  const server = await startServer(appOf(manifestOf()), {
    ...database.env,
    PYLON_SSO_ENCRYPTION_KEY: KEY,
  });
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  await admin.insert("Person", { id: "a", name: "Ada", taxNumber: TAX });
  await admin.insert("Person", { id: "b", name: "Bob", taxNumber: "another" });
  await database.run(
    `UPDATE "Person" SET "taxNumber" = (SELECT "taxNumber" FROM "Person" WHERE id = 'a')
      WHERE id = 'b'`,
  );
  const { body } = await admin.request("GET", "/api/entities/Person/b");
  expect(body).toMatchObject({ name: "Bob", taxNumber: null });
  await server.stop();
});

test("a computed field of existing rows is computed from the plain text", async () => {
  const database = await newDatabase();
  const env = { ...database.env, PYLON_SSO_ENCRYPTION_KEY: KEY };
  const first = await startServer(appOf(manifestOf()), env);
  await new TestClient(first.url, ADMIN_TOKEN).insert("Person", { name: "Ada", taxNumber: TAX });
  await first.stop();
  const withEnding = entity("Person", {
    name: field.string(),
    taxNumber: field.encrypted().max(40).optional(),
    bossId: field.id("Person").optional(),
    ending: field.string().computed((row) => String(row["taxNumber"]).slice(-3)),
  });
  const second = await startServer(appOf(manifestOf([withEnding])), env);
  const { body } = await new TestClient(second.url, ADMIN_TOKEN).request(
    "GET",
    "/api/entities/Person",
  );
  expect(body["data"]).toMatchObject([{ taxNumber: TAX, ending: "678" }]);
  await second.stop();
});

test("a data migration moves values into an encrypted field", async () => {
  const database = await newDatabase();
  const env = { ...database.env, PYLON_SSO_ENCRYPTION_KEY: KEY };
  const withPlain = () => ({ name: field.string(), bossId: field.id("Person").optional() });
  const first = await startServer(
    appOf(manifestOf([entity("Person", { ...withPlain(), note: field.string() })], [], false)),
    env,
  );
  await new TestClient(first.url, ADMIN_TOKEN).insert("Person", { name: "Ada", note: "plain" });
  await first.stop();
  const next = entity("Person", {
    ...withPlain(),
    note: field.string(),
    taxNumber: field.encrypted().optional(),
    copied: field.encrypted().optional(),
  });
  const seen: unknown[] = [];
  const second = await startServer(
    {
      ...appOf(manifestOf([next])),
      dataMigrations: new Map([
        [
          "20260101_000000_encrypt",
          dataMigration({
            entity: "Person",
            each: async (ctx, row) =>
              ctx.db.update("Person", row.id, { taxNumber: `${TAX} ${String(row["note"])}` }),
          }),
        ],
        [
          "20260102_000000_copy",
          dataMigration({
            entity: "Person",
            each: async (ctx, row) => {
              seen.push(row["taxNumber"]);
              await ctx.db.update("Person", row.id, { copied: row["taxNumber"] });
            },
          }),
        ],
      ]),
    },
    env,
  );
  const { body } = await new TestClient(second.url, ADMIN_TOKEN).request(
    "GET",
    "/api/entities/Person",
  );
  expect(seen).toEqual([`${TAX} plain`]);
  expect(body["data"]).toMatchObject([{ taxNumber: `${TAX} plain`, copied: `${TAX} plain` }]);
  expect(await database.content()).not.toContain(TAX);
  await second.stop();
});

test("a renamed field keeps its values, and is still written by its old name", async () => {
  const database = await newDatabase();
  const env = { ...database.env, PYLON_SSO_ENCRYPTION_KEY: KEY };
  const first = await startServer(appOf(manifestOf()), env);
  const id = await new TestClient(first.url, ADMIN_TOKEN).insert("Person", {
    name: "Ada",
    taxNumber: TAX,
  });
  await first.stop();
  const renamed = entity("Person", {
    name: field.string(),
    taxId: field.encrypted().max(40).optional().renamedFrom("taxNumber"),
    bossId: field.id("Person").optional(),
  });
  const second = await startServer(appOf(manifestOf([renamed], [], false)), env);
  const admin = new TestClient(second.url, ADMIN_TOKEN);
  const read = async (): Promise<unknown> =>
    (await admin.request("GET", `/api/entities/Person/${id}`)).body["taxId"];
  expect(await read()).toBe(TAX);
  await admin.request("PATCH", `/api/entities/Person/${id}`, { taxNumber: `${TAX}-2` });
  expect(await read()).toBe(`${TAX}-2`);
  expect((await admin.request("GET", "/api/sync/pull?since=0")).text).toContain(`${TAX}-2`);
  expect(await database.content()).not.toContain(TAX);
  await second.stop();
});

test("rows that are deleted or emptied by a cascade stay encrypted in the log", async () => {
  const database = await newDatabase();
  const child = (name: string, onDelete: "cascade" | "setNull"): Entity =>
    entity(name, {
      secret: field.encrypted(),
      personId: field.id("Person", { onDelete }).optional(),
    });
  const entities = [Person(), child("Child", "cascade"), child("Note", "setNull")];
  const server = await startServer(appOf(manifestOf(entities)), {
    ...database.env,
    PYLON_SSO_ENCRYPTION_KEY: KEY,
  });
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const personId = await admin.insert("Person", { name: "Ada", taxNumber: TAX });
  await admin.insert("Child", { secret: `${TAX}-child`, personId });
  const noteId = await admin.insert("Note", { secret: `${TAX}-note`, personId });
  await admin.request("DELETE", `/api/entities/Person/${personId}`);
  expect((await admin.request("GET", "/api/entities/Child")).body["data"]).toEqual([]);
  expect((await admin.request("GET", `/api/entities/Note/${noteId}`)).body).toMatchObject({
    secret: `${TAX}-note`,
    personId: null,
  });
  expect(await database.content()).not.toContain(TAX);
  await server.stop();
});

test("a field can't become encrypted, or stop being so, in a migration", async () => {
  const database = await newDatabase();
  const env = { ...database.env, PYLON_SSO_ENCRYPTION_KEY: KEY };
  const first = await startServer(appOf(manifestOf()), env);
  await new TestClient(first.url, ADMIN_TOKEN).insert("Person", { name: "Ada", taxNumber: TAX });
  await first.stop();
  const changed = entity("Person", {
    name: field.encrypted(),
    taxNumber: field.string().optional(),
    bossId: field.id("Person").optional(),
  });
  await expect(startServer(appOf(manifestOf([changed])), env)).rejects.toThrow(
    "a migration can't encrypt or decrypt",
  );
  expect(await database.content()).not.toContain(TAX);
});

type FieldOfAnyKind = Parameters<typeof entity>[1][string];
const one = (secret: FieldOfAnyKind, options = {}): Entity =>
  entity("Note", { title: field.string(), secret }, options);

test.each<[string, Entity, string]>([
  ["a unique one", one(field.encrypted().unique()), "can't be unique"],
  ["a default", one(field.encrypted().default("x")), "can't have a default"],
  ["a computed one", one(field.encrypted().computed(() => "x")), "can't be computed"],
  [
    "an index",
    one(field.encrypted(), { indexes: [{ name: "i", fields: ["secret"], unique: false }] }),
    "can't be ordered",
  ],
  ["a search", one(field.encrypted(), { search: { fields: ["secret"] } }), "can be searched"],
  [
    "a relation",
    one(field.encrypted(), {
      relations: [relation({ name: "other", target: "Note", field: "secret" })],
    }),
    "can't connect a relation",
  ],
])("an app can't declare it with %s", async (_, declared, message) => {
  const manifest = buildManifest({
    name: "wrong",
    version: "1.0.0",
    access: "public",
    entities: [declared],
  });
  await expect(startServer(appOf(manifest), { PYLON_SSO_ENCRYPTION_KEY: KEY })).rejects.toThrow(
    message,
  );
});

test.each(["data.secret == 'x'", "data.secret == auth.userId", "data.secret in ['x']"])(
  "a policy can't use its value: %s",
  async (allow) => {
    const manifest = buildManifest({
      name: "wrong",
      version: "1.0.0",
      entities: [one(field.encrypted())],
      policies: [policy({ name: "p", entity: "Note", allow })],
    });
    await expect(startServer(appOf(manifest), { PYLON_SSO_ENCRYPTION_KEY: KEY })).rejects.toThrow(
      "encrypted field",
    );
  },
);
