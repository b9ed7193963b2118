import { LoroDoc, LoroText } from "loro-crdt";
import type { Caller, Socket } from "../caller.ts";
import type { Family } from "../check.ts";
import { during } from "../during.ts";
import { expectShape, isFields, Matcher, Mismatch, text } from "../shape.ts";

const SNAPSHOT = 0x10;
const UPDATE = 0x11;

/** Texts that several callers edit at once, as documents of Loro. */
export const documents: Family = {
  "a subscription is answered with the document of the row": async ({ ann }) => {
    const id = await ann.insert("Note", { title: "T", body: "one" });
    await during(await subscribed(ann, id), async ({ messages }) => {
      const document = new LoroDoc();
      document.import(await frameOf(messages, SNAPSHOT, id));
      expectShape(document.getMap("row").toJSON(), { title: "T", body: "one" });
    });
  },
  "an edit is merged into the row, and sent to the subscribers": async ({ ann, bob }) => {
    const id = await ann.insert("Note", { title: "T", body: "one", shared: true });
    await during(await subscribed(bob, id), async ({ messages }) => {
      const document = new LoroDoc();
      document.import(await frameOf(messages, SNAPSHOT, id));
      const editor = await open(ann, id);
      const update = edited(editor, (body) => body.insert(3, " two"));
      await ann.expect(["POST", `/api/crdt/Note/${id}`, { update }], 200, { ok: true });
      await ann.expect(["GET", `/api/entities/Note/${id}`], 200, { body: "one two" });
      document.import(await frameOf(messages, UPDATE, id));
      expectShape(document.getMap("row").toJSON(), { body: "one two" });
    });
  },
  "edits that were made at the same time are merged": async ({ ann }) => {
    const id = await ann.insert("Note", { title: "T", body: "bread" });
    const [one, two] = [await open(ann, id), await open(ann, id)];
    const updates = [
      edited(one, (body) => body.insert(0, "dark ")),
      edited(two, (body) => body.insert(5, " rolls")),
    ];
    // The second one is sent twice: that changes nothing.
    for (const update of [...updates, updates[1] ?? ""])
      await ann.expect(["POST", `/api/crdt/Note/${id}`, { update }], 200);
    await ann.expect(["GET", `/api/entities/Note/${id}`], 200, { body: "dark bread rolls" });
  },
  "a patch of the field changes only what differs": async ({ ann }) => {
    const id = await ann.insert("Note", { title: "T", body: "one three" });
    const editor = await open(ann, id);
    await ann.expect(["PATCH", `/api/entities/Note/${id}`, { body: "one two three" }], 200);
    const update = edited(editor, (body) => body.insert(9, "!"));
    await ann.expect(["POST", `/api/crdt/Note/${id}`, { update }], 200);
    await ann.expect(["GET", `/api/entities/Note/${id}`], 200, { body: "one two three!" });
  },
  "a document is read by requests, with what is new": async ({ ann }) => {
    const id = await ann.insert("Note", { title: "T", body: "one" });
    const path = `/api/crdt/Note/${id}`;
    const { after } = await ann.expect(["GET", path], 200, { after: text, frames: [text] });
    const update = edited(await open(ann, id), (body) => body.insert(3, " two"));
    await ann.expect(["POST", path, { update }], 200);
    const answer = { after: text, frames: [frameLike(UPDATE, id)] };
    const next = await ann.expect(["GET", `${path}?after=${String(after)}`], 200, answer);
    const last = `${path}?after=${String(next["after"])}`;
    await ann.expect(["GET", last], 200, { after: String(next["after"]), frames: [] });
  },
  "the documents of others are neither shown nor changed": async ({ ann, bob }) => {
    const id = await ann.insert("Note", { title: "T", body: "secret" });
    const update = edited(await open(ann, id), (body) => body.insert(0, "no "));
    await bob.refused(["GET", `/api/crdt/Note/${id}`], 404, { code: "NOT_FOUND" });
    await bob.refused(["POST", `/api/crdt/Note/${id}`, { update }], 404, { code: "NOT_FOUND" });
    const shared = await ann.insert("Note", { title: "T", body: "seen", shared: true });
    const foreign = edited(await open(bob, shared), (body) => body.insert(0, "no "));
    const push = ["POST", `/api/crdt/Note/${shared}`, { update: foreign }] as const;
    await bob.refused([...push], 403, { code: "POLICY_DENIED" });
    await ann.expect(["GET", `/api/entities/Note/${shared}`], 200, { body: "seen" });
  },
  "an update that is none, or changes something else, is refused": async ({ ann }) => {
    const id = await ann.insert("Note", { title: "T", body: "one" });
    const path = `/api/crdt/Note/${id}`;
    await ann.refused(["POST", path, {}], 400, { code: "MISSING_UPDATE" });
    await ann.refused(["POST", path, { update: "0g" }], 400, { code: "INVALID_HEX" });
    await ann.refused(["POST", path, { update: "00ff" }], 400, { code: "CRDT_DECODE_FAILED" });
    const editor = await open(ann, id);
    const update = changed(editor, () => editor.getMap("row").set("ownerId", "me"));
    await ann.refused(["POST", path, { update }], 400, { code: "CRDT_APPLY_FAILED" });
    const task = await ann.insert("Task", { title: "plain" });
    await ann.refused(["GET", `/api/crdt/Task/${task}`], 400, { code: "NOT_SUPPORTED" });
  },
};

async function subscribed(caller: Caller, rowId: string): Promise<Socket> {
  const socket = await caller.socket("", ["pylon.v2"]);
  socket.send({ type: "crdt-subscribe", entity: "Note", rowId });
  return socket;
}

/** A hex frame of this type, of a note. */
function frameLike(type: number, rowId: string): Matcher {
  const head = Buffer.from([type]).toString("hex") + named("Note") + named(rowId);
  const label = `frame ${type} of ${rowId}`;
  return new Matcher(label, (value) => typeof value === "string" && value.startsWith(head));
}

function named(name: string): string {
  return Buffer.from([name.length >> 8, name.length & 255]).toString("hex") + hexOf(name);
}

function hexOf(bytes: string | Uint8Array): string {
  return Buffer.from(bytes as Uint8Array).toString("hex");
}

/** @returns the content of the first frame of this type */
async function frameOf(
  messages: Socket["messages"],
  type: number,
  rowId: string,
): Promise<Uint8Array> {
  const { bytes } = await messages.next({ bytes: frameLike(type, rowId) });
  return contentOf(String(bytes));
}

function contentOf(frame: string): Uint8Array {
  const bytes = Buffer.from(frame, "hex");
  const names = 3 + bytes.readUInt16BE(1);
  return new Uint8Array(bytes.subarray(names + 2 + bytes.readUInt16BE(names)));
}

/** Opens the document of a note by a request. */
async function open(caller: Caller, rowId: string): Promise<LoroDoc> {
  const { body } = await caller.request("GET", `/api/crdt/Note/${rowId}`);
  const frames: unknown = isFields(body) ? body["frames"] : undefined;
  if (!Array.isArray(frames)) throw new Mismatch({ frames: text }, body);
  const document = new LoroDoc();
  for (const frame of frames) document.import(contentOf(String(frame)));
  return document;
}

function edited(document: LoroDoc, work: (body: LoroText) => void): string {
  const body = document.getMap("row").get("body");
  if (!(body instanceof LoroText)) throw new Mismatch("a text", body ?? null);
  return changed(document, () => work(body));
}

/** @returns the changes of the work, as an update in hex */
function changed(document: LoroDoc, work: () => void): string {
  const from = document.version();
  work();
  document.commit();
  return hexOf(document.export({ mode: "update", from }));
}
