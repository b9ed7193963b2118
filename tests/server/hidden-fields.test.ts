// A hidden field is never sent to a caller, and no response depends on its value.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { bearerProtocol, LIVE_PROTOCOL } from "@pylonsync/protocol";
import { mutation } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const SECRET = "secret-of-the-note";
const Note = entity(
  "Note",
  {
    title: field.string(),
    pin: field.string().hidden(),
    boardId: field.id("Board").hidden().optional(),
  },
  { relations: [{ name: "board", target: "Board", field: "boardId" }] },
);
const Board = entity(
  "Board",
  { name: field.string() },
  { relations: [{ name: "notes", target: "Note", field: "boardId", many: true }] },
);
const app = appOf(
  buildManifest({ name: "hidden", version: "1.0.0", access: "public", entities: [Note, Board] }),
  {
    pinOf: mutation({
      handler: async (ctx) => {
        const [note] = await ctx.db.query("Note", { pin: SECRET });
        return note?.["pin"] === SECRET;
      },
    }),
  },
);

let server: TestServer;
let client: TestClient;
let noteId: string;
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  const boardId = await client.insert("Board", { name: "b" });
  noteId = await client.insert("Note", { title: "n", pin: SECRET, boardId });
});
afterAll(() => server.stop());

const asked = (path: string, body?: unknown, method = body === undefined ? "GET" : "POST") =>
  client.request(method, path, body);

test("no HTTP response contains it, and server functions can read it", async () => {
  const answers = [
    await asked("/api/entities/Note"),
    await asked("/api/entities/Note/cursor"),
    await asked(`/api/entities/Note/${noteId}`),
    await asked("/api/lookup/Note/title/n"),
    await asked("/api/query/Note", {}),
    await asked("/api/query", { Note: { include: { board: {} } } }),
    await asked("/api/aggregate/Note", { count: true, groupBy: ["title"] }),
    await asked("/api/sync/pull?since=0"),
    await asked(`/api/entities/Note/${noteId}`, { pin: `${SECRET}-2` }, "PATCH"),
    await asked(`/api/entities/Note/${noteId}`, { pin: SECRET }, "PATCH"),
    await asked("/api/transact", [
      { op: "update", entity: "Note", id: noteId, data: { title: "n" } },
    ]),
    await asked("/api/sync/push", {
      changes: [{ entity: "Note", row_id: noteId, kind: "update", data: { title: "n" } }],
      results: true,
    }),
  ];
  for (const { status, text } of answers) {
    expect([text, status]).toEqual([text, 200]);
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain('"pin"');
  }
  const { text } = await asked("/api/fn/pinOf", {});
  expect(text).toContain("true");
});

test.each<[string, unknown]>([
  ["/api/query/Note", { pin: SECRET }],
  ["/api/query/Note", { $or: [{ title: "x" }, { pin: { $startsWith: "s" } }] }],
  ["/api/query/Note", { $order: { pin: "asc" } }],
  ["/api/query", { Note: { where: { pin: SECRET } } }],
  ["/api/query", { Board: { include: { notes: {} } } }],
  [`/api/lookup/Note/pin/${SECRET}`, undefined],
  ["/api/aggregate/Note", { count: true, groupBy: ["pin"] }],
  ["/api/aggregate/Note", { max: ["pin"] }],
  ["/api/aggregate/Note", { count: true, where: { pin: SECRET } }],
])("callers can't query by it: %s %j", async (path, body) => {
  const { status, body: answer } = await asked(path, body);
  expect([status, (answer["error"] as { code: string }).code]).toEqual([400, "INVALID_COLUMN"]);
  expect(JSON.stringify(answer)).not.toContain("pin,");
});

test("live connections of both versions never send it", async () => {
  const old = await client.live(0).ready();
  const texts: string[] = [];
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`, [
    LIVE_PROTOCOL,
    bearerProtocol(client.token ?? ""),
  ]);
  socket.onmessage = ({ data }) => texts.push(String(data));
  await until(() => texts.some((text) => text.includes("hello")));
  socket.send(JSON.stringify({ type: "subscribe", id: 1, entity: "Note" }));
  socket.send(JSON.stringify({ type: "subscribe", id: 2, entity: "Note", where: { pin: SECRET } }));
  await until(() => texts.some((text) => text.includes("ready")));
  await until(() => texts.some((text) => text.includes("INVALID_COLUMN")));
  await asked(`/api/entities/Note/${noteId}`, { pin: `${SECRET}-3`, title: "later" }, "PATCH");
  const heard = (all: readonly string[]): boolean => all.some((text) => text.includes("later"));
  await until(() => heard(texts) && heard(old.texts));
  await client.request(
    "DELETE",
    `/api/entities/Note/${await client.insert("Note", {
      title: "gone",
      pin: SECRET,
    })}`,
  );
  const pulled = await asked("/api/sync/pull?since=1");
  await until(() => old.events.some(({ kind }) => kind === "delete"));
  for (const text of [...texts, ...old.texts, pulled.text]) expect(text).not.toContain(SECRET);
  socket.close();
  old.close();
});

test("an admin can't read it, but an export contains it", async () => {
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const { text: row } = await admin.request("GET", `/api/entities/Note/${noteId}`);
  expect(row).not.toContain(SECRET);
  const { text: all } = await admin.request("GET", "/api/export/Note");
  expect(all).toContain(SECRET);
});
