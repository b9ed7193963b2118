import { getPriority } from "node:os";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { DOCUMENT_UPDATE_MS } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { LoroDoc, LoroText } from "loro-crdt";
import { TestClient, until, type Answer } from "../support/client.ts";
import { Editor, pushUpdate } from "../support/document-client.ts";
import { HARMFUL_UPDATE } from "../support/harmful-update.ts";
import { randomOf } from "../support/random.ts";
import { isRunning, mergersOf } from "../support/reader-processes.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// Bytes that were made to harm the library: it fails, runs for long, or uses much memory. The
// server answers each with a code, and other callers notice nothing.

const SEED = Number(process.env["PYLON_TEST_SEED"] ?? Date.now() % 1_000_000);
const UPDATES = 120;
const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [
      entity("User", { email: field.string().unique(), passwordHash: field.string().hidden() }),
      entity("Note", { body: field.richtext() }),
    ],
    policies: [
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
      policy({ name: "notes", entity: "Note", allow: "auth.userId != null" }),
    ],
  }),
);

let server: TestServer;
let ann: TestClient;
let mallory: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  // Guests of one address share its time.
  [ann, mallory] = [
    await TestClient.signUp(server.url, "ann"),
    await TestClient.signUp(server.url, "mallory"),
  ];
});
afterAll(() => server.stop());

/** The format's checksum, so that the library processes what follows. */
function withChecksum(update: Uint8Array): Uint8Array {
  const made = Buffer.from(update);
  made.fill(0, 4, 20);
  made.writeUInt32LE(Bun.hash.xxHash32(made.subarray(20), Buffer.from("LORO").readUInt32LE(0)), 16);
  return made;
}

function randomUpdate(editor: Editor, random: () => number): Uint8Array {
  const below = (limit: number): number => Math.floor(random() * limit);
  const document = new LoroDoc();
  document.import(editor.document.export({ mode: "snapshot" }));
  const from = document.version();
  const text = document.getMap("row").get("body");
  if (!(text instanceof LoroText)) throw new Error("The document has no text.");
  for (let count = below(30); count >= 0; count -= 1) {
    if (random() < 0.7 || text.length === 0) text.insert(below(text.length + 1), "abc");
    else text.delete(below(text.length), 1);
    if (random() < 0.3) document.commit();
  }
  const update = document.export(random() < 0.7 ? { mode: "update", from } : { mode: "snapshot" });
  // The bytes before are the magic, the checksum and the kind of the content.
  for (let count = 1 + below(4); count > 0; count -= 1)
    update[22 + below(update.length - 22)] = [0, 1, 127, 128, 255, below(256)][below(6)] ?? 0;
  return withChecksum(update);
}

/** The process for most callers, or that for callers whose merges take long. */
function mergers(speed: "fast" | "slow"): number[] {
  const normal = getPriority();
  return mergersOf(process.pid).filter(
    (pid) => speed === (getPriority(pid) > normal ? "slow" : "fast"),
  );
}

test(`changed updates are refused or merged, and never a failure (seed ${SEED})`, async () => {
  const id = await ann.insert("Note", { body: "begin " });
  const [one, two] = [await Editor.open(ann, "Note", id), await Editor.open(ann, "Note", id)];
  const random = randomOf(SEED);
  const answers = new Map<string, number>();
  for (let count = 0; count < UPDATES; count += 1) {
    const { status, body } = await pushUpdate(mallory, "Note", id, randomUpdate(one, random));
    const { code = "ok" } = (body["error"] ?? {}) as { readonly code?: string };
    answers.set(`${status} ${code}`, (answers.get(`${status} ${code}`) ?? 0) + 1);
    if (count % 20 !== 0) continue;
    one.field("body").insert(0, "h");
    expect((await one.push()).status).toBe(200);
  }
  const codes = ["CRDT_DECODE_FAILED", "CRDT_APPLY_FAILED", "INVALID_DATA"];
  const known = ["200 ok", ...codes.map((code) => `400 ${code}`)];
  expect([...answers.keys()].filter((answer) => !known.includes(answer))).toEqual([]);
  expect(answers.get("400 CRDT_DECODE_FAILED")).toBeGreaterThan(UPDATES / 4);
  one.field("body").insert(0, "the end");
  expect((await one.push()).status).toBe(200);
  const row = await ann.request("GET", `/api/entities/Note/${id}`);
  await two.shows("body", String(row.body["body"]));
  expect(two.text("body")).toStartWith("the end");
  one.close();
  two.close();
}, 60_000);

test("a small update that needs much time and memory does not stop the others", async () => {
  const id = await ann.insert("Note", { body: "begin" });
  const one = await Editor.open(ann, "Note", id);
  const other = await TestClient.signUp(server.url, "other");
  const bombs = [0, 1].map(() =>
    pushUpdate(other, "Note", id, Uint8Array.fromBase64(HARMFUL_UPDATE)),
  );
  expect((await Promise.all(bombs)).map(({ status }) => status)).toEqual([400, 400]);
  one.field("body").insert(0, "we ");
  expect((await one.push()).status).toBe(200);
  await one.shows("body", "we begin");
  one.close();
});

test("a user whose updates take long is served by another process than the others", async () => {
  const eve = await TestClient.signUp(server.url, "eve");
  const [target, id] = [
    await eve.insert("Note", { body: "" }),
    await ann.insert("Note", { body: "" }),
  ];
  const one = await Editor.open(ann, "Note", id);
  const attack = (): Promise<Answer> =>
    pushUpdate(eve, "Note", target, Uint8Array.fromBase64(HARMFUL_UPDATE));
  const isSeparate = async (): Promise<boolean> => {
    expect((await attack()).status).toBeGreaterThanOrEqual(400);
    return mergers("slow").length > 0;
  };
  let isOver = false;
  const stopped = until(isSeparate, 60_000).then(() => (isOver = true));
  let edits = 0;
  for (; !isOver; edits += 1) {
    one.field("body").insert(0, "a");
    expect((await one.push()).status).toBe(200);
  }
  await stopped;
  one.field("body").insert(0, "b");
  expect((await one.push()).status).toBe(200);
  expect(one.text("body")).toBe(`b${"a".repeat(edits)}`);
  one.close();
}, 60_000);

test("a process that is killed is replaced, and nothing is lost", async () => {
  const id = await ann.insert("Note", { body: "a" });
  const one = await Editor.open(ann, "Note", id);
  const [merger = 0] = mergers("fast");
  // It has the merge when it is killed, and has not begun.
  process.kill(merger, "SIGSTOP");
  one.field("body").insert(1, "b");
  const pushed = one.push();
  expect((await ann.request("GET", "/health")).status).toBe(200);
  process.kill(merger, "SIGKILL");
  expect((await pushed).status).toBe(200);
  expect((await ann.request("GET", `/api/entities/Note/${id}`)).body["body"]).toBe("ab");
  expect(isRunning(merger)).toBe(false);
  one.close();
});

test("a merge that does not end is given up, and the next one succeeds", async () => {
  const id = await ann.insert("Note", { body: "a" });
  const one = await Editor.open(ann, "Note", id);
  for (const merger of mergers("fast")) process.kill(merger, "SIGSTOP");
  one.field("body").insert(1, "b");
  const update = one.changes();
  const started = performance.now();
  expect(await one.push(update)).toMatchObject({
    status: 503,
    body: { error: { code: "OVERLOADED" } },
  });
  expect(performance.now() - started).toBeGreaterThan(DOCUMENT_UPDATE_MS * 0.9);
  expect((await one.push(update)).status).toBe(200);
  one.close();
}, 30_000);

test("a subscriber is answered later if the merge of its document does not end", async () => {
  const id = await ann.insert("Note", { body: "a" });
  const first = await Editor.open(ann, "Note", await ann.insert("Note", { body: "b" }));
  for (const merger of mergers("fast")) process.kill(merger, "SIGSTOP");
  first.socket.subscribe("Note", id);
  // A write of the column does not wait for it.
  const started = performance.now();
  await ann.request("PATCH", `/api/entities/Note/${first.rowId}`, { body: "c" });
  expect(performance.now() - started).toBeLessThan(DOCUMENT_UPDATE_MS);
  await until(() => first.socket.frames.some(({ rowId }) => rowId === id));
  await first.shows("body", "c");
  expect(first.socket.socket.readyState).toBe(WebSocket.OPEN);
  first.close();
}, 30_000);
