import { expect, test } from "bun:test";
import { buildManifest, definePlugin, entity, field, policy, type Manifest } from "@pylonsync/sdk";
import { mutation, v } from "@pylonsync/functions";
import { LoroDoc } from "loro-crdt";
import { AppDatabase } from "../support/app-database.ts";
import { TestClient, until } from "../support/client.ts";
import { DocumentSocket, Editor } from "../support/document-client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// A document from its creation to its deletion, across migrations of the app.

function manifestOf(...entities: readonly ReturnType<typeof entity>[]): Manifest {
  return buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [...entities],
    policies: entities.map(({ name }) =>
      policy({ name, entity: name, allow: "auth.userId != null" }),
    ),
  });
}

async function within(
  app: Parameters<typeof startServer>[0],
  work: (admin: TestClient, server: TestServer) => Promise<void>,
): Promise<void> {
  const server = await startServer(app);
  try {
    await work(new TestClient(server.url, ADMIN_TOKEN), server);
  } finally {
    await server.stop();
  }
}

async function textIn(client: TestClient, entityName: string, id: string): Promise<unknown> {
  return (await client.request("GET", `/api/entities/${entityName}/${id}`)).body["body"];
}

const Folder = entity("Folder", { name: field.string() });
const Note = entity("Note", {
  body: field.richtext(),
  folderId: field.id("Folder", { onDelete: "cascade" }).optional(),
});

test("a row that is deleted and created again has a new document", async () => {
  await within(appOf(manifestOf(Folder, Note)), async (admin) => {
    const folder = await admin.insert("Folder", { name: "a" });
    for (const remove of [`Note/n1`, `Folder/${folder}`]) {
      await admin.insert("Note", { id: "n1", body: "old secret", folderId: folder });
      const one = await Editor.open(admin, "Note", "n1");
      one.field("body").insert(0, "very ");
      await one.push();
      await admin.request("DELETE", `/api/entities/${remove}`);
      one.field("body").insert(0, "too late ");
      expect((await one.push()).status).toBe(404);
      await admin.insert("Note", { id: "n1", body: "new" });
      const two = await Editor.open(admin, "Note", "n1");
      expect(two.text("body")).toBe("new");
      expect(Buffer.from(two.socket.frames[0]?.bytes ?? []).includes("secret")).toBe(false);
      expect((await one.push()).body).toMatchObject({ error: { code: "CRDT_APPLY_FAILED" } });
      await admin.request("DELETE", "/api/entities/Note/n1");
      one.close();
      two.close();
    }
  });
});

test("many updates become one snapshot, and subscribers receive each of them once", async () => {
  await within(appOf(manifestOf(Folder, Note)), async (admin) => {
    const id = await admin.insert("Note", { body: "" });
    const [one, two] = [await Editor.open(admin, "Note", id), await Editor.open(admin, "Note", id)];
    for (let index = 0; index < 120; index += 1) {
      one.field("body").insert(index, String(index % 10));
      expect((await one.push()).status).toBe(200);
    }
    const whole = "0123456789".repeat(12);
    await two.shows("body", whole);
    expect(two.socket.frames.filter(({ type }) => type === 0x10)).toHaveLength(1);
    const late = await new DocumentSocket(admin).opened();
    late.subscribe("Note", id);
    const document = new LoroDoc();
    late.onFrame = ({ bytes }) => void document.import(bytes);
    await until(() => document.getMap("row").toJSON()["body"] === whole);
    expect(late.frames.length).toBeLessThan(22);
    expect(await textIn(admin, "Note", id)).toBe(whole);
    for (const socket of [one, two, late]) socket.close();
  });
}, 20_000);

test("a hook may change the text of an edit, and the document follows", async () => {
  const plugin = definePlugin({
    name: "shout",
    hooks: { beforeUpdate: (patch) => ({ ...patch, body: String(patch["body"]).toUpperCase() }) },
  });
  const app = buildManifest({ ...manifestOf(Folder, Note), plugins: [plugin] });
  await within(appOf(app), async (admin) => {
    const id = await admin.insert("Note", { body: "QUIET" });
    const [one, two] = [await Editor.open(admin, "Note", id), await Editor.open(admin, "Note", id)];
    one.field("body").insert(5, " please");
    expect((await one.push()).status).toBe(200);
    for (const editor of [one, two]) await editor.shows("body", "QUIET PLEASE");
    expect(await textIn(admin, "Note", id)).toBe("QUIET PLEASE");
    one.close();
    two.close();
  });
});

test("writes of functions, pushes, imports and transactions reach the editors", async () => {
  const rewrite = mutation({
    args: { id: v.string() },
    handler: async (ctx, { id }) => {
      await ctx.db.update("Note", id, { body: "1" });
      await ctx.db.update("Note", id, { body: "12" });
    },
  });
  await within(appOf(manifestOf(Folder, Note), { rewrite }), async (admin) => {
    const id = await admin.insert("Note", { body: "" });
    const one = await Editor.open(admin, "Note", id);
    await admin.request("POST", "/api/fn/rewrite", { id });
    await one.shows("body", "12");
    await admin.request("POST", "/api/sync/push", {
      changes: [{ entity: "Note", row_id: id, kind: "update", data: { body: "123" } }],
    });
    await one.shows("body", "123");
    await admin.request("POST", "/api/transact", [
      { op: "update", entity: "Note", id, data: { body: "1234" } },
    ]);
    await one.shows("body", "1234");
    one.close();
  });
});

test("after renames of its entity and field, a document has the texts of the row", async () => {
  await using database = await AppDatabase.create();
  const before = manifestOf(entity("Note", { text: field.richtext() }));
  const after = manifestOf(
    entity(
      "Page",
      {
        body: field.richtext().renamedFrom("text"),
        title: field.string().crdt("text").default("untitled"),
      },
      { renamedFrom: "Note" },
    ),
  );
  const first = await database.serve(before);
  let admin = new TestClient(first.url, ADMIN_TOKEN);
  const id = await admin.insert("Note", { text: "kept" });
  const old = await Editor.open(admin, "Note", id);
  old.field("text").insert(4, " text");
  await old.push();
  old.close();
  await database.stop();
  admin = new TestClient((await database.serve(after)).url, ADMIN_TOKEN);
  // An older client uses the earlier name.
  const editors = [await Editor.open(admin, "Page", id), await Editor.open(admin, "Note", id)];
  for (const editor of editors) {
    await editor.shows("body", "kept text");
    await editor.shows("title", "untitled");
  }
  const [one] = editors;
  one?.field("body").insert(0, "well ");
  expect((await one?.push())?.status).toBe(200);
  for (const editor of editors) await editor.shows("body", "well kept text");
  expect(await textIn(admin, "Page", id)).toBe("well kept text");
  for (const editor of editors) editor.close();
});
