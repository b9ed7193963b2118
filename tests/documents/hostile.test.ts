import { afterAll, beforeAll, expect, test } from "bun:test";
import { DOCUMENT_UPDATE_MS } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { LoroDoc, LoroText } from "loro-crdt";
import { TestClient, until } from "../support/client.ts";
import { Editor, pushUpdate } from "../support/document-client.ts";
import { randomOf } from "../support/random.ts";
import { isRunning, mergersOf } from "../support/reader-processes.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// Bytes that were made to harm the library: it fails, runs for long, or uses much memory. The
// server answers each with a code, and other callers notice nothing.

const SEED = Number(process.env["PYLON_TEST_SEED"] ?? Date.now() % 1_000_000);
const UPDATES = 120;
/** A few hundred bytes for which the library uses a second and 200 MB. */
const BOMB =
  "bG9ybwAAAAAAAAAAAAAAAH+wjLUABOMGANUBnQTVAQEcApHonjxoCJlraM7bXEh509YBAQEBAQG4CAAAAAUBAAAB" +
  "AAYBBAACAQAEAWkBYgC0AwEEA/YBANAB9QEyMQCsBdsDxQEJBAMEA1rCAc0BTQDYBNcEAO4H7QcAkgjVBypTEcYD" +
  "zATbAmSTA8IFgQHVAp0C1AW7BwGIBL0BkwLIBrUGkgXfAs4CBY0GkAeTA7MDAbAC2QG6BrECoAHrApACVYoBhwNz" +
  "SbIBrwLCAaACNrABsQX4BvsEgAaXAQtsrQW4A8sBSzqwAt8EpgOTBNoCswOiAYoC1AKYAsMIPxXwB0/kAZEI5gIe" +
  "rwF3/AF11gNK2QTOBvEFD2P3AQnICZMHjwEOT7YG8QSAA2QrBQwABQkMAAwADAAFCQUMAAUMAAUMAAYFAwwABgUG" +
  "CQEFDAkEBQEJDgUICQYFAQkEBQEJCAUBCRYFAQkIBQEJBAUBCQYFAQkIBQsMAAUJBQkGBQQJAwUJDAUFDAAFBAkG" +
  "BQQJdgECFgEEAgoBAQIIAQECBAEBAgQBAQIGAQgCDwECAQMCAwECBAEBAgQDAwIBBAIEAQcCAQMBCAIFAwIBBAID" +
  "AQMGAgMBAgQBBAMJAQMCAwIEAwsCAwIDAgMEAQYDAQEEAgQBBAMFAQIBBAIIAQMCAwQBBAMDAQJ9AQMbgOHrFwIO" +
  "AAMBAgYAAwECBAADAQIMAAMBAgYAAwECOz/KAUDeA4kDtgXPA5kCzgW/BwiSBPAC3wPDAxyyAsgD7QWwAvAEtQNw" +
  "xwPIBNsFWuABwALdA3uUArQBIgQCBwABAAIGAAcBAgACBAEhAgABBAMEAQIAAwAEAwQDAAL1AQJhYoQOAAEBYYQN" +
  "AAGEEwEBhBcAAQFhAmFihA8BAQFhhCAAAQJhYoQYAQEBYQFhAmFihB0AAQJhYgFhAWEBYQFhA2FiYwNhYmMBYQJh" +
  "YgFhAWECYWIDYWJjAmFiAWEBYQFhA2FiYwJhYgJhYgJhYgJhYgJhYgFhAmFiAmFiAWEDYWJjAmFiAmFiAmFiAWEC" +
  "YWIBYQNhYmMDYWJjAWECYWIDYWJjA2FiYwNhYmMCYWICYWIDYWJjAmFiA2FiY4QWAQEDYWJjA2FiYwJhYgJhYgFh" +
  "A2FiYwJhYgFhAmFiAmFiAWEBYYQkAQECYWIBYQNhYmMDYWJj";

const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [entity("Note", { body: field.richtext() })],
    policies: [policy({ name: "notes", entity: "Note", allow: "auth.userId != null" })],
  }),
);

let server: TestServer;
let ann: TestClient;
let mallory: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  [ann, mallory] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
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
  const bombs = [0, 1].map(() => pushUpdate(mallory, "Note", id, Uint8Array.fromBase64(BOMB)));
  expect((await Promise.all(bombs)).map(({ status }) => status)).toEqual([400, 400]);
  one.field("body").insert(0, "we ");
  expect((await one.push()).status).toBe(200);
  await one.shows("body", "we begin");
  one.close();
});

test("a process that is killed is replaced, and nothing is lost", async () => {
  const id = await ann.insert("Note", { body: "a" });
  const one = await Editor.open(ann, "Note", id);
  const [merger = 0] = mergersOf(process.pid);
  process.kill(merger, "SIGKILL");
  await until(() => !isRunning(merger));
  one.field("body").insert(1, "b");
  expect((await one.push()).status).toBe(200);
  expect((await ann.request("GET", `/api/entities/Note/${id}`)).body["body"]).toBe("ab");
  one.close();
});

test("a merge that does not end is given up, and the next one succeeds", async () => {
  const id = await ann.insert("Note", { body: "a" });
  const one = await Editor.open(ann, "Note", id);
  const [merger = 0] = mergersOf(process.pid);
  process.kill(merger, "SIGSTOP");
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
  const [merger = 0] = mergersOf(process.pid);
  process.kill(merger, "SIGSTOP");
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
