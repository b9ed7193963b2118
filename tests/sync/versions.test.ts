import { describe, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, policy, type Manifest } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

function version(
  fields: Parameters<typeof entity>[1],
  ...entities: ReturnType<typeof entity>[]
): Manifest {
  const all = [entity("Note", fields), ...entities];
  return buildManifest({
    name: "versions",
    version: "1.0.0",
    entities: all,
    policies: all.map(({ name }) => policy({ name, entity: name, allow: "auth.userId != null" })),
  });
}

const OLD = version({ text: field.string() });
const NEW = version(
  {
    text: field.string(),
    tag: field.string().default("none"),
    slug: field.string().optional().unique(),
  },
  entity("Label", { name: field.string() }),
);

const sqlite = async () => ({
  PYLON_IN_MEMORY: "0",
  PYLON_DB_PATH: join(mkdtempSync(join(tmpdir(), "pylon-versions-")), "pylon.db"),
});
const postgres = async () => ({ DATABASE_URL: await createDatabase(sharedPostgresUrl()) });

describe.each([
  ["SQLite", sqlite],
  ["Postgres", postgres],
] as const)("versions of an app on one database of %s", (_, database) => {
  test("an older version runs on a newer one's data, and the newer one again", async () => {
    const env = await database();
    const user = await during(NEW, env, async ({ url }) => {
      const guest = await TestClient.guest(url);
      await guest.insert("Note", { id: "first", text: "a", tag: "red", slug: "one" });
      await guest.insert("Label", { id: "label", name: "kept" });
      return guest;
    });
    await during(OLD, env, async ({ url, server }) => {
      expect(server.diagnostics.map(({ code, severity }) => [code, severity])).toEqual(
        Array.from({ length: 3 }, () => ["SCHEMA_LEFTOVER", "warning"]),
      );
      const client = new TestClient(url, user.token);
      expect((await client.request("GET", "/api/entities/Note/first")).body).toEqual({
        id: "first",
        text: "a",
      });
      expect((await client.request("GET", "/api/entities/Label/label")).status).toBe(404);
      expect(
        (await client.request("PATCH", "/api/entities/Note/first", { text: "b" })).status,
      ).toBe(200);
      await client.insert("Note", { id: "second", text: "c" });
    });
    await during(NEW, env, async ({ url, server }) => {
      expect(server.diagnostics).toEqual([]);
      const client = new TestClient(url, user.token);
      expect((await client.request("GET", "/api/entities/Note/first")).body).toEqual({
        id: "first",
        text: "b",
        tag: "red",
        slug: "one",
      });
      expect((await client.request("GET", "/api/entities/Note/second")).body).toEqual({
        id: "second",
        text: "c",
        tag: "none",
        slug: null,
      });
      expect((await client.request("GET", "/api/entities/Label/label")).body).toMatchObject({
        name: "kept",
      });
      expect(
        await client.request("POST", "/api/entities/Note", { text: "d", slug: "one" }),
      ).toMatchObject({ status: 409 });
    });
  });

  test("a field that became optional is required again in the previous version", async () => {
    const env = await database();
    const looser = version({ text: field.string().optional() });
    const user = await during(looser, env, async ({ url }) => {
      const guest = await TestClient.guest(url);
      await guest.insert("Note", { id: "full", text: "a" });
      return guest;
    });
    await during(OLD, env, async ({ url }) => {
      expect(
        await new TestClient(url, user.token).request("POST", "/api/entities/Note", {}),
      ).toMatchObject({ status: 400 });
    });
    await during(
      looser,
      env,
      async ({ url }) =>
        void (await new TestClient(url, user.token).insert("Note", { id: "empty" })),
    );
    await expect(startServer(appOf(OLD), env)).rejects.toThrow("Note.text becomes required");
  });

  test("a cursor without an epoch ends where a version has other fields or policies", async () => {
    const env = await database();
    const admin = { token: ADMIN_TOKEN, since: 0 };
    /** @returns the status of a pull from the last cursor, as a client of the public system does */
    const pull = async ({ url }: TestServer): Promise<number> => {
      const client = new TestClient(url, admin.token);
      const path = `/api/sync/pull?since=${admin.since}`;
      const { status, body } = await client.request("GET", path);
      const { last_seq: last } = (body["cursor"] ?? { last_seq: 0 }) as { last_seq: number };
      admin.since = last;
      return status;
    };
    const next = (manifest: Manifest): Promise<number[]> =>
      during(manifest, env, async (server) => [await pull(server), await pull(server)]);
    await during(OLD, env, async (server) => {
      await new TestClient(server.url, ADMIN_TOKEN).insert("Note", { id: "first", text: "a" });
      expect(await pull(server)).toBe(200);
    });
    expect(await next({ ...OLD, version: "1.0.1" })).toEqual([200, 200]);
    expect(await next(NEW)).toEqual([410, 200]);
    expect(await next(NEW)).toEqual([200, 200]);
    const [first, ...others] = NEW.policies;
    const closed = first === undefined ? [] : [{ ...first, allow: "auth.isAdmin" }];
    expect(await next({ ...NEW, policies: [...closed, ...others] })).toEqual([410, 200]);
  });

  test.each([
    ["12", "change Note.text from string to int"],
    ["a", 'Note.text becomes int, but 1 value can\'t be converted, such as "a"'],
  ])("a change of the type of %j is rejected, and changes nothing", async (text, message) => {
    const env = await database();
    const user = await during(OLD, env, async ({ url }) => {
      const guest = await TestClient.guest(url);
      await guest.insert("Note", { id: "first", text });
      return guest;
    });
    await expect(startServer(appOf(version({ text: field.int() })), env)).rejects.toThrow(message);
    await during(OLD, env, async ({ url }) => {
      expect(
        (await new TestClient(url, user.token).request("GET", "/api/entities/Note/first")).body,
      ).toMatchObject({ text });
    });
  });
});

test("replicas of two versions run side by side, each with its own fields", async () => {
  const env = await postgres();
  const older = await startServer(appOf(OLD), env);
  const newer = await startServer(appOf(NEW), env);
  try {
    const guest = await TestClient.guest(older.url);
    const onNewer = new TestClient(newer.url, guest.token);
    const live = await guest.live(0).ready();
    const ofAdmin = await new TestClient(older.url, ADMIN_TOKEN).live(0).ready();
    await onNewer.insert("Label", { id: "label", name: "unknown to the older" });
    await onNewer.insert("Note", { id: "note", text: "a", tag: "red" });
    await onNewer.request("PATCH", "/api/entities/Note/note", { tag: "blue" });
    await onNewer.request("PATCH", "/api/entities/Note/note", { text: "b" });
    for (const socket of [live, ofAdmin]) {
      await until(() => socket.texts.some((text) => text.includes('"b"')));
      const told = socket.texts.join("\n");
      expect(told).toContain('"text":"a"');
      for (const unknown of ["tag", "red", "blue", "Label"]) expect(told).not.toContain(unknown);
    }
    const pulled = await guest.request("GET", "/api/sync/pull?since=0");
    expect(pulled.text).not.toContain("Label");
    expect(pulled.text).not.toContain("tag");
  } finally {
    await Promise.all([older.stop(), newer.stop()]);
  }
});

async function during<T>(
  manifest: Manifest,
  env: Readonly<Record<string, string>>,
  work: (server: TestServer) => Promise<T>,
): Promise<T> {
  const server = await startServer(appOf(manifest), env);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}
