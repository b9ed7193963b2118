import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  DEFAULT_ROW_BYTES,
  MAX_DOCUMENT_SUBSCRIPTIONS,
  MAX_DOCUMENT_UPDATE_BYTES,
} from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { LoroDoc, LoroText } from "loro-crdt";
import { TestClient, until } from "../support/client.ts";
import {
  decodeFrame,
  DocumentSocket,
  Editor,
  pushUpdate,
  type ReceivedFrame,
} from "../support/document-client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// The messages and responses that existing clients expect.

const allowed = (name: string): ReturnType<typeof policy> =>
  policy({ name, entity: name, allow: "auth.userId != null" });
const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [
      entity("Note", { title: field.string(), body: field.richtext() }),
      entity("Plain", { body: field.richtext() }, { crdt: false }),
      entity("Last", { body: field.richtext().crdt("lww") }),
    ],
    policies: ["Note", "Plain", "Last"].map(allowed),
  }),
);

let server: TestServer;
let ann: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  ann = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

function newNote(body = "text"): Promise<string> {
  return ann.insert("Note", { title: "t", body });
}

test("a subscription is answered with a snapshot, and each change with a frame", async () => {
  const id = await newNote();
  const socket = await new DocumentSocket(ann).opened();
  socket.say({ type: "crdt-subscribe", entity: "Note", row_id: id });
  const [first] = await socket.heard(1);
  expect(first).toMatchObject({ type: 0x10, entity: "Note", rowId: id });
  const document = new LoroDoc();
  document.import(first?.bytes ?? new Uint8Array());
  expect(document.toJSON()).toEqual({ row: { body: "text" } });
  expect(document.getMap("row").get("body")).toBeInstanceOf(LoroText);
  await ann.request("PATCH", `/api/entities/Note/${id}`, { body: "texts" });
  const [, second] = await socket.heard(2);
  expect(second).toMatchObject({ type: 0x11, entity: "Note", rowId: id });
  document.import(second?.bytes ?? new Uint8Array());
  expect(document.toJSON()).toEqual({ row: { body: "texts" } });
  socket.subscribe("Note", id);
  expect((await socket.heard(3))[2]).toMatchObject({ type: 0x10 });
  socket.close();
});

test("a client that asks for it is told when the whole document has arrived", async () => {
  const id = await newNote();
  for (const body of ["texts", "text!"])
    await ann.request("PATCH", `/api/entities/Note/${id}`, { body });
  const first = await Editor.open(ann, "Note", id);
  for (const word of ["one", "two"]) {
    first.field("body").insert(0, word);
    expect((await first.push()).status).toBe(200);
  }
  const socket = await new DocumentSocket(ann).opened();
  const heard: unknown[] = [];
  socket.onFrame = ({ type }) => heard.push(type);
  socket.onText = (text) => text.includes("crdt-ready") && heard.push(JSON.parse(text));
  const subscribe = { type: "crdt-subscribe", entity: "Note", rowId: id };
  socket.say({ ...subscribe, ready: true });
  const ready = { type: "crdt-ready", entity: "Note", rowId: id };
  await until(() => heard.length === 4);
  expect(heard).toEqual([0x10, 0x11, 0x11, ready]);
  // Neither a change nor a subscription that does not ask for it is followed by another.
  first.field("body").insert(0, "three");
  await first.push();
  await until(() => heard.length === 5);
  socket.say(subscribe);
  await until(() => heard.length === 9);
  expect(heard.slice(4)).toEqual([0x11, 0x10, 0x11, 0x11, 0x11]);
  first.close();
  socket.close();
});

test("an edit of the document is sent to all clients as a change of the row", async () => {
  const id = await newNote();
  const live = await ann.live().opened();
  const one = await Editor.open(ann, "Note", id);
  one.field("body").insert(4, "!");
  await one.push();
  await until(() => live.events.some(({ data }) => data?.["body"] === "text!"));
  live.close();
  one.close();
});

test("formatting reaches the others although the text is the same", async () => {
  const id = await newNote();
  const [one, two] = [await Editor.open(ann, "Note", id), await Editor.open(ann, "Note", id)];
  one.document.configDefaultTextStyle({ expand: "after" });
  one.field("body").mark({ start: 0, end: 2 }, "bold", true);
  expect((await one.push()).status).toBe(200);
  await until(() => JSON.stringify(two.field("body").toDelta()).includes("bold"));
  // An insertion that is undone leaves the text as it was, too.
  one.field("body").insert(0, "x");
  one.field("body").delete(0, 1);
  expect((await one.push()).status).toBe(200);
  await until(() => two.document.version().compare(one.document.version()) === 0);
  one.close();
  two.close();
});

test("an edit that names another user as its author is refused, and changes nothing", async () => {
  const id = await newNote();
  const one = await Editor.open(ann, "Note", id);
  one.field("body").insert(0, "my ");
  const update = { update: one.changes().toHex() };
  const push = (userId: string): ReturnType<TestClient["request"]> =>
    ann.request("POST", `/api/crdt/Note/${id}?user_id=${userId}`, update);
  for (const other of ["somebody", ""]) {
    const { status, body } = await push(other);
    expect([status, body["error"]]).toEqual([401, expect.objectContaining({ field: "user_id" })]);
  }
  expect((await ann.request("GET", `/api/entities/Note/${id}`)).body["body"]).toBe("text");
  expect((await push(ann.userId)).status).toBe(200);
  one.close();
});

test("a repeated update changes nothing, and is confirmed", async () => {
  const id = await newNote();
  const one = await Editor.open(ann, "Note", id);
  one.field("body").insert(0, "my ");
  const update = one.changes();
  for (let count = 0; count < 3; count += 1) {
    const { status, body } = await one.push(update);
    expect([status, body]).toEqual([200, { ok: true }]);
  }
  const upper = await ann.request("POST", `/api/crdt/Note/${id}`, {
    update: update.toHex().toUpperCase(),
  });
  expect(upper.body).toEqual({ ok: true });
  const row = await ann.request("GET", `/api/entities/Note/${id}`);
  expect(row.body["body"]).toBe("my text");
  one.close();
});

const REFUSED: readonly (readonly [string, string, unknown, number, string])[] = [
  ["no row", "/api/crdt/Note", { update: "00" }, 400, "BAD_PATH"],
  ["no entity", "/api/crdt", { update: "00" }, 400, "BAD_PATH"],
  ["no JSON", "/api/crdt/Note/ID", "{", 400, "INVALID_JSON"],
  ["no update", "/api/crdt/Note/ID", {}, 400, "MISSING_UPDATE"],
  ["a number", "/api/crdt/Note/ID", { update: 12 }, 400, "MISSING_UPDATE"],
  ["an array", "/api/crdt/Note/ID", ["00"], 400, "MISSING_UPDATE"],
  ["half a byte", "/api/crdt/Note/ID", { update: "abc" }, 400, "INVALID_HEX"],
  ["another letter", "/api/crdt/Note/ID", { update: "0g" }, 400, "INVALID_HEX"],
  ["no bytes", "/api/crdt/Note/ID", { update: "" }, 400, "CRDT_DECODE_FAILED"],
  ["other bytes", "/api/crdt/Note/ID", { update: "00ff10" }, 400, "CRDT_DECODE_FAILED"],
  ["an unknown entity", "/api/crdt/Nothing/ID", { update: "00" }, 404, "ENTITY_NOT_FOUND"],
  ["an unknown row", "/api/crdt/Note/none", { update: "00" }, 404, "NOT_FOUND"],
  ["an entity without documents", "/api/crdt/Plain/ID", { update: "00" }, 400, "NOT_SUPPORTED"],
  ["a text that is not merged", "/api/crdt/Last/ID", { update: "00" }, 400, "NOT_SUPPORTED"],
  [
    "too many bytes",
    "/api/crdt/Note/ID",
    { update: "00".repeat(MAX_DOCUMENT_UPDATE_BYTES + 1) },
    413,
    "PAYLOAD_TOO_LARGE",
  ],
];

test.each(REFUSED)("%s is refused", async (_, path, body, status, code) => {
  const id = await newNote();
  const answer = await ann.request("POST", path.replace("ID", id), body);
  expect(answer).toMatchObject({ status, body: { error: { code } } });
});

test("the first update of a text that will be too long is refused", async () => {
  const id = await newNote();
  const one = await Editor.open(ann, "Note", id);
  one.field("body").insert(0, "my ");
  const push = (length: number): ReturnType<TestClient["request"]> =>
    ann.request("POST", `/api/crdt/Note/${id}`, { update: one.changes().toHex(), length });
  const tooLong = await push(DEFAULT_ROW_BYTES + 1);
  expect(tooLong).toMatchObject({ status: 413, body: { error: { code: "PAYLOAD_TOO_LARGE" } } });
  expect((await ann.request("GET", `/api/entities/Note/${id}`)).body["body"]).toBe("text");
  expect((await push(DEFAULT_ROW_BYTES)).status).toBe(200);
  one.close();
});

interface ReadDocument {
  readonly status: number;
  readonly after: string;
  readonly frames: readonly ReceivedFrame[];
}

/** Reads a document by a request. */
async function readOver(client: TestClient, path: string): Promise<ReadDocument> {
  const { status, body } = await client.request("GET", path);
  const { after = "", frames = [] } = body as {
    readonly after?: string;
    readonly frames?: readonly string[];
  };
  return { status, after, frames: frames.map((hex) => decodeFrame(Uint8Array.fromHex(hex))) };
}

test("without a socket a document is read by requests, without what is known", async () => {
  const id = await newNote();
  const path = `/api/crdt/Note/${id}`;
  const first = await readOver(ann, path);
  expect(first.frames).toMatchObject([{ type: 0x10, entity: "Note", rowId: id }]);
  const reader = new LoroDoc();
  reader.import(first.frames[0]?.bytes ?? new Uint8Array());
  const one = await Editor.open(ann, "Note", id);
  one.field("body").insert(0, "my ");
  expect((await one.push()).status).toBe(200);
  const next = await readOver(ann, `${path}?after=${first.after}`);
  expect(next.frames.map(({ type }) => type)).toEqual([0x11]);
  for (const { bytes } of next.frames) reader.import(bytes);
  expect(reader.getMap("row").toJSON()["body"]).toBe("my text");
  expect(await readOver(ann, `${path}?after=${next.after}`)).toEqual({ ...next, frames: [] });
  // What was sent by another document, or is not a version, counts as nothing.
  for (const after of ["other.7", "nonsense", `${next.after}999`]) {
    const { status, frames } = await readOver(ann, `${path}?after=${after}`);
    expect([after, status, frames[0]?.type]).toEqual([after, 200, 0x10]);
  }
  const anonymous = new TestClient(server.url, null);
  for (const [client, of, status] of [
    [anonymous, path, 404],
    [ann, "/api/crdt/Note/none", 404],
    [ann, `/api/crdt/Plain/${id}`, 400],
  ] as const)
    expect(await readOver(client, of)).toMatchObject({ status, frames: [] });
  one.close();
});

test("a caller who is not signed in may not push", async () => {
  const id = await newNote();
  const anonymous = new TestClient(server.url, null);
  expect(await pushUpdate(anonymous, "Note", id, new Uint8Array([0]))).toMatchObject({
    status: 401,
    body: { error: { code: "AUTH_REQUIRED" } },
  });
});

describe("an update may only change the texts", () => {
  const CHANGES: readonly (readonly [string, (document: LoroDoc) => void])[] = [
    ["title", (document) => document.getMap("row").set("title", "x")],
    ["body", (document) => document.getMap("row").delete("body")],
    ["body", (document) => void document.getMap("row").setContainer("body", new LoroText())],
    ["more", (document) => void document.getMap("row").setContainer("more", new LoroText())],
    ["notes", (document) => document.getText("notes").insert(0, "x")],
  ];
  test.each(CHANGES)("a change of %s is refused", async (key, change) => {
    const id = await newNote();
    const [one, two] = [await Editor.open(ann, "Note", id), await Editor.open(ann, "Note", id)];
    one.field("body").insert(0, "with it ");
    change(one.document);
    const { status, body } = await one.push();
    expect([status, body]).toMatchObject([400, { error: { code: "CRDT_APPLY_FAILED" } }]);
    expect(JSON.stringify(body)).toContain(`\\"${key}\\"`);
    two.field("body").insert(4, "!");
    expect((await two.push()).status).toBe(200);
    await two.shows("body", "text!");
    one.close();
    two.close();
  });

  test("a document that the client has made itself is refused", async () => {
    const id = await newNote();
    const own = new LoroDoc();
    own.getMap("row").setContainer("body", new LoroText()).insert(0, "mine");
    own.commit();
    const answer = await pushUpdate(ann, "Note", id, own.export({ mode: "snapshot" }));
    expect(answer.body).toMatchObject({ error: { code: "CRDT_APPLY_FAILED" } });
  });

  test("an update whose base the server does not have is refused", async () => {
    const id = await newNote();
    const one = await Editor.open(ann, "Note", id);
    one.field("body").insert(0, "lost ");
    one.document.commit();
    const base = one.document.version();
    one.field("body").insert(0, "sent ");
    one.document.commit();
    const answer = await one.push(one.document.export({ mode: "update", from: base }));
    expect(answer.body).toMatchObject({ error: { code: "CRDT_APPLY_FAILED" } });
    expect((await one.push()).status).toBe(200);
    one.close();
  });
});

test("a socket has a limited number of documents, and version 2 is told", async () => {
  const ids = await Promise.all(
    [...Array(MAX_DOCUMENT_SUBSCRIPTIONS + 1).keys()].map(() => newNote()),
  );
  const socket = await QuerySocket.open(ann);
  const frames: unknown[] = [];
  const { onmessage } = socket.socket;
  socket.socket.onmessage = (event) => {
    if (typeof event.data === "string") onmessage?.call(socket.socket, event);
    else frames.push(event.data);
  };
  for (const id of ids) socket.send({ type: "crdt-subscribe", entity: "Note", rowId: id });
  await until(
    () => frames.length === MAX_DOCUMENT_SUBSCRIPTIONS && socket.all("error").length === 1,
  );
  expect(socket.all("error")).toMatchObject([{ code: "SUBSCRIPTION_LIMIT_REACHED" }]);
  socket.send({ type: "crdt-unsubscribe", entity: "Note", rowId: ids[0] });
  socket.send({ type: "crdt-subscribe", entity: "Note", rowId: ids.at(-1) });
  await until(() => frames.length === MAX_DOCUMENT_SUBSCRIPTIONS + 1);
  socket.socket.close();
});
