import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { DocumentSocket, Editor, pushUpdate } from "../support/document-client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// A caller receives a document only as long as it may read its row, and changes it only as it may
// change the texts.

const isMember = "exists(Member, noteId == data.id && userId == auth.userId)";
const app = appOf(
  buildManifest({
    name: "shared-notes",
    version: "1.0.0",
    entities: [
      entity("Member", { noteId: field.string(), userId: field.string() }),
      entity("Note", {
        body: field.richtext().max(60),
        isLocked: field.bool().default(false),
        ownerId: field.string().owner(),
      }),
      entity("Review", { body: field.richtext(), verdict: field.string().crdt("text") }),
      entity("Log", { line: field.string(), text: field.string() }),
      entity("Public", { body: field.richtext(), secret: field.richtext().hidden().optional() }),
    ],
    policies: [
      policy({ name: "members", entity: "Member", allow: "true" }),
      policy({
        name: "notes",
        entity: "Note",
        allowRead: `data.ownerId == auth.userId || ${isMember}`,
        allowInsert: "true",
        allowUpdate: `!data.isLocked && data.body != "forbidden"`,
      }),
      policy({
        name: "reviews",
        entity: "Review",
        allow: "true",
        fields: { verdict: { allowRead: 'auth.hasRole("judge")' } },
      }),
      policy({ name: "logs", entity: "Log", allow: "true" }),
      policy({
        name: "public",
        entity: "Public",
        allow: "true",
        fields: { body: { allowUpdate: "auth.isAdmin" } },
      }),
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

/** Waits until the socket has answered everything that was sent to it before. */
async function settled(socket: DocumentSocket): Promise<void> {
  const id = await admin.insert("Public", { body: "fence" });
  socket.subscribe("Public", id);
  await until(() => socket.frames.some(({ rowId }) => rowId === id));
  await admin.request("PATCH", `/api/entities/Public/${id}`, { body: "fence 2" });
  await until(() => socket.frames.filter(({ rowId }) => rowId === id).length === 2);
}

function framesOf(socket: DocumentSocket, rowId: string): number {
  return socket.frames.filter((frame) => frame.rowId === rowId).length;
}

async function open(client: TestClient): Promise<DocumentSocket> {
  return new DocumentSocket(client).opened();
}

test("a caller that may not read the row receives and learns nothing", async () => {
  const [ann, bob] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  const id = await ann.insert("Note", { body: "the plan" });
  const socket = await open(bob);
  for (const [entityName, rowId] of [
    ["Note", id],
    ["Note", "missing"],
    ["Note", "../x"],
    ["Nothing", id],
    ["Log", id],
    ["", ""],
  ] as const)
    socket.subscribe(entityName, rowId);
  const one = await Editor.open(ann, "Note", id);
  one.field("body").insert(0, "secretly ");
  expect((await one.push()).status).toBe(200);
  await settled(socket);
  expect(framesOf(socket, id)).toBe(0);
  const update = one.document.export({ mode: "update" });
  const [hidden, missing] = [
    await pushUpdate(bob, "Note", id, update),
    await pushUpdate(bob, "Note", "missing", update),
  ];
  expect([hidden.status, hidden.text.replace(id, "missing").replace(/"request_id.*/, "")]).toEqual([
    missing.status,
    missing.text.replace(/"request_id.*/, ""),
  ]);
  expect(hidden.body).toMatchObject({ error: { code: "NOT_FOUND" } });
  one.close();
  socket.close();
});

test("a member that is removed receives nothing of later edits, and the others do", async () => {
  const [ann, bob] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  const id = await ann.insert("Note", { body: "a" });
  const member = await admin.insert("Member", { noteId: id, userId: bob.userId });
  const [one, two] = [await Editor.open(ann, "Note", id), await Editor.open(bob, "Note", id)];
  one.field("body").insert(1, "b");
  await one.push();
  await two.shows("body", "ab");
  await admin.request("DELETE", `/api/entities/Member/${member}`);
  const before = two.socket.frames.length;
  one.field("body").insert(2, "c");
  await one.push();
  await one.shows("body", "abc");
  await settled(two.socket);
  expect(framesOf(two.socket, id)).toBe(before);
  expect(two.text("body")).toBe("ab");
  one.close();
  two.close();
});

test("nothing is sent after the end of the session or of the subscription", async () => {
  const ann = await TestClient.guest(server.url);
  const id = await ann.insert("Note", { body: "a" });
  const gone = await Editor.open(ann, "Note", id);
  const left = await Editor.open(ann, "Note", id);
  const stays = await Editor.open(ann, "Note", id);
  left.socket.say({ type: "crdt-unsubscribe", entity: "Note", row_id: id });
  await settled(left.socket);
  await admin.request("PATCH", `/api/entities/Note/${id}`, { body: "ab" });
  await stays.shows("body", "ab");
  await settled(left.socket);
  expect(framesOf(left.socket, id)).toBe(1);
  await ann.request("DELETE", "/api/auth/session");
  await until(() => gone.socket.socket.readyState === WebSocket.CLOSED);
  const frames = gone.socket.frames.length;
  await admin.request("PATCH", `/api/entities/Note/${id}`, { body: "abc" });
  await admin.request("DELETE", `/api/entities/Note/${id}`);
  expect(gone.socket.frames.length).toBe(frames);
});

test("the policies, the fields' rules and the stored row decide about an edit", async () => {
  const ann = await TestClient.guest(server.url);
  const id = await ann.insert("Note", { body: "draft" });
  const one = await Editor.open(ann, "Note", id);
  const attempt = async (text: string): Promise<unknown> => {
    const editor = await Editor.open(ann, "Note", id);
    editor.field("body").update(text);
    const { status, body } = await editor.push();
    editor.close();
    return status === 200 ? 200 : (body["error"] as { code: string }).code;
  };
  expect(await attempt("forbidden")).toBe("POLICY_DENIED");
  expect(await attempt("x".repeat(61))).toBe("INVALID_DATA");
  expect(await attempt("final")).toBe(200);
  await one.shows("body", "final");
  await admin.request("PATCH", `/api/entities/Note/${id}`, { isLocked: true });
  expect(await attempt("too late")).toBe("POLICY_DENIED");
  const row = await ann.request("GET", `/api/entities/Note/${id}`);
  expect(row.body["body"]).toBe("final");
  one.close();
});

test("a field that the caller may not read or write closes the document or the edit", async () => {
  const ann = await TestClient.guest(server.url);
  const review = await admin.insert("Review", { body: "good", verdict: "guilty" });
  const socket = await open(ann);
  socket.subscribe("Review", review);
  await settled(socket);
  expect(framesOf(socket, review)).toBe(0);
  expect((await pushUpdate(ann, "Review", review, new Uint8Array())).status).toBe(404);
  const id = await admin.insert("Public", { body: "text", secret: "hidden from all" });
  const [one, boss] = [
    await Editor.open(ann, "Public", id),
    await Editor.open(admin, "Public", id),
  ];
  expect(one.document.toJSON()).toEqual({ row: { body: "text" } });
  one.field("body").insert(0, "my ");
  expect((await one.push()).status).toBe(403);
  // Formatting changes no column, and needs the same permission.
  const other = await Editor.open(ann, "Public", id);
  other.document.configDefaultTextStyle({ expand: "after" });
  other.field("body").mark({ start: 0, end: 4 }, "bold", true);
  expect((await other.push()).status).toBe(403);
  boss.field("body").insert(4, "s");
  expect((await boss.push()).status).toBe(200);
  await other.shows("body", "texts");
  for (const editor of [one, other, boss]) editor.close();
  socket.close();
});
