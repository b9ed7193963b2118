import { afterEach, expect, test } from "bun:test";
import { MAX_DOCUMENT_UPDATE_BYTES } from "@pylonsync/protocol";
import { openTextDisk, type TextStore } from "@pylonsync/sync/text-disk";
import type { MutationError, Platform, SyncEngine, SyncEngineConfig } from "@pylonsync/sync";
import { SharedTabs } from "../../../tests/support/shared-tabs.ts";
import { VirtualDocuments } from "../../../tests/support/virtual-documents.ts";
import { refusal, VirtualMachine } from "../../../tests/support/virtual-machine.ts";
import type { CollabDocument } from "./collab-document.ts";
import { EngineDocuments } from "./engine-documents.ts";
import { LoroRegistry } from "./registry.ts";

// A document in a page, on a clock that the test moves, with a small server.

const ROW = "Note/n1";
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

function memory(): TextStore {
  const texts = new Map<string, string>();
  return {
    keys: async (prefix) => [...texts.keys()].filter((key) => key.startsWith(prefix)),
    read: async (keys) => keys.map((key) => texts.get(key) ?? null),
    write: async (written) => {
      for (const [key, text] of written) texts.set(key, text);
    },
    remove: async (keys) => {
      for (const key of keys) texts.delete(key);
    },
  };
}

/** A browser with a server, and pages in it. */
class Browser {
  readonly machine = new VirtualMachine();
  readonly server = new VirtualDocuments(this.machine);
  readonly errors: MutationError[] = [];
  readonly #store = memory();
  readonly disk: Pick<Platform, "openDisk"> = {
    openDisk: (app, server) => openTextDisk(this.#store, app, server),
  };

  /** Opens a page that shows the note. */
  open(options: Partial<SyncEngineConfig> = {}): Page {
    const { platform } = this.machine;
    const engine = this.machine.engine({
      reconnectDelay: 200,
      platform: { ...platform, ...this.disk },
      ...options,
    });
    engine.onError((error) => this.errors.push(error));
    engine.start();
    const documents = new EngineDocuments(engine, new LoroRegistry());
    const { document } = documents.use("Note", "n1");
    const close = (): void => {
      documents.close();
      engine.stop();
    };
    cleanups.push(close);
    return { engine, document, close };
  }

  until(condition: () => boolean, withinMs = 5_000): Promise<number> {
    return this.machine.until(condition, withinMs);
  }
}

interface Page {
  readonly engine: SyncEngine;
  readonly document: CollabDocument;
  readonly close: () => void;
}

/** A browser whose page has received the note. */
async function opened(text: string): Promise<Browser & { readonly page: Page }> {
  const browser = new Browser();
  browser.server.create(ROW, { title: "T", body: text });
  const page = browser.open();
  await browser.until(() => page.document.text("body") === text);
  return Object.assign(browser, { page });
}

test.each([
  { name: "a server that tells when all have arrived", tellsReady: true, pause: 5 },
  { name: "a slow connection", tellsReady: true, pause: 200 },
  { name: "a server of an earlier version", tellsReady: false, pause: 50 },
])("a document of several parts shows no older text than the row: $name", async (server) => {
  const browser = new Browser();
  browser.server.tellsReady = server.tellsReady;
  browser.server.pauseOfParts = server.pause;
  browser.server.create(ROW, { body: "" });
  for (const word of ["one ", "two "])
    browser.server.edit(ROW, (text) => text.insert(text.length, word));
  const { document, engine } = browser.open();
  // Until the document is there, the text of the row is shown.
  await engine.insert("Note", { id: "n1", body: "one two " });
  const shown = new Set([document.text("body")]);
  const moves: unknown[] = [];
  document.onChange(() => shown.add(document.text("body")));
  document.onDelta((_, delta) => moves.push(delta));
  await browser.until(() => document.doc.opCount() > 0);
  await browser.machine.advance(3_000);
  expect([[...shown], moves]).toEqual([["one two "], []]);
  document.setText("body", "one two three");
  await browser.until(() => browser.server.text(ROW) === "one two three");
});

test("a document of a server of an earlier version is shown while others type in it", async () => {
  const browser = new Browser();
  browser.server.tellsReady = false;
  browser.server.create(ROW, { body: "one" });
  const { document } = browser.open();
  // No pause of a second passes without an update.
  for (let written = 0; written < 20; written += 1) {
    await browser.machine.advance(500);
    browser.server.edit(ROW, (text) => text.insert(text.length, "."));
  }
  expect(document.text("body")).toStartWith("one...");
});

test("a change reaches the server, and those of others reach the page", async () => {
  const { server, page, until } = await bound("Hello");
  page.document.setText("body", "Hello, world");
  await until(() => server.text(ROW) === "Hello, world");
  server.edit(ROW, (text) => text.insert(0, "> "));
  await until(() => page.document.text("body") === "> Hello, world");
  expect(server.pushes).toHaveLength(1);
});

test("fast changes are sent together, with one request at a time", async () => {
  const { server, page, until } = await bound("");
  for (let count = 1; count <= 50; count += 1) page.document.setText("body", "x".repeat(count));
  await until(() => server.text(ROW) === "x".repeat(50));
  expect(server.pushes.length).toBeLessThanOrEqual(2);
});

test("changes made offline are merged with those of others", async () => {
  const { machine, server, page, until } = await bound("milk\nbread");
  machine.network = "down";
  machine.cut();
  page.document.setText("body", "milk\nbread\neggs");
  server.edit(ROW, (text) => text.insert(0, "oat "));
  await machine.advance(60_000);
  expect(page.document.text("body")).toBe("milk\nbread\neggs");
  machine.network = "up";
  machine.goOnline();
  await until(() => server.text(ROW) === "oat milk\nbread\neggs");
  await until(() => page.document.text("body") === "oat milk\nbread\neggs");
});

test("a reload while offline keeps the changes and the text that they are based on", async () => {
  const { machine, server, page, until, open } = await bound("milk");
  machine.network = "down";
  machine.cut();
  page.document.setText("body", "milk, bread");
  await machine.advance(3_000);
  page.close();
  const later = open();
  await until(() => later.document.text("body") === "milk, bread");
  later.document.setText("body", "milk, bread, eggs");
  await machine.advance(3_000);
  machine.network = "up";
  machine.goOnline();
  await until(() => server.text(ROW) === "milk, bread, eggs");
  later.close();
  // Nothing is left on disk.
  const last = open();
  await until(() => last.document.text("body") === "milk, bread, eggs");
  await machine.advance(5_000);
  expect(server.text(ROW)).toBe("milk, bread, eggs");
});

test("changes whose base was not stored stay stored until they can be merged", async () => {
  const { machine, server, page, until, open } = await bound("milk");
  machine.network = "down";
  machine.cut();
  page.document.setText("body", "milk, bread");
  await machine.advance(500);
  page.close();
  for (let visit = 0; visit < 2; visit += 1) {
    const later = open();
    await machine.advance(3_000);
    later.close();
  }
  machine.network = "up";
  const last = open();
  await until(() => server.text(ROW) === "milk, bread");
  await until(() => last.document.text("body") === "milk, bread");
});

test("changes of an earlier visit are sent even if no page shows the document", async () => {
  const { machine, server, page, until } = await bound("milk");
  machine.network = "down";
  machine.cut();
  page.document.setText("body", "milk, bread");
  await machine.advance(3_000);
  page.close();
  machine.network = "up";
  const engine = openEngine(machine, page);
  await until(() => server.text(ROW) === "milk, bread");
  engine.stop();
});

test("unsent edits are pending in all tabs, until the server has them", async () => {
  const browser = new Browser();
  const { machine, server, until, open } = bind(browser);
  const tabs = new SharedTabs();
  const openTab = (tab: object): Page => {
    const { platform } = machine;
    return open({ platform: { ...platform, ...browser.disk, tabs: tabs.platformOf(tab) } });
  };
  server.create(ROW, { body: "milk" });
  const writer = {};
  const [one, two] = [openTab(writer), openTab({})];
  await until(() => two.document.text("body") === "milk" && one.document.text("body") === "milk");
  two.close();
  const other = openTab({});
  await until(() => other.document.text("body") === "milk");
  expect([one, other].map(({ engine }) => engine.status.pending)).toEqual([0, 0]);
  machine.network = "down";
  machine.cut();
  one.document.setText("body", "milk, bread");
  expect(one.engine.status.pending).toBe(1);
  await until(() => other.engine.status.pending === 1);
  machine.network = "up";
  machine.goOnline();
  await until(() => server.text(ROW) === "milk, bread");
  await until(() => one.engine.status.pending === 0 && other.engine.status.pending === 0);
  // What a tab that was closed has not sent is sent by another one.
  server.refusal = refusal(503, "OVERLOADED");
  one.document.setText("body", "milk, bread, eggs");
  await until(() => other.engine.status.pending === 1);
  tabs.end(writer);
  one.close();
  server.refusal = null;
  await until(() => server.text(ROW) === "milk, bread, eggs", 60_000);
  await until(() => other.engine.status.pending === 0);
});

test("what was written before the document arrived is merged into it", async () => {
  const browser = new Browser();
  const { machine, server, until } = bind(browser);
  const { document } = browser.open();
  document.setText("body", "draft");
  expect(document.text("body")).toBe("draft");
  await machine.advance(1_000);
  server.create(ROW, { body: "" });
  await until(() => server.text(ROW) === "draft");
  expect(document.text("body")).toBe("draft");
});

test("a draft survives a reload, and is merged once", async () => {
  const browser = new Browser();
  const { machine, server, until, open } = bind(browser);
  machine.network = "down";
  const first = browser.open();
  await machine.advance(1_000);
  first.document.setText("body", "draft");
  await machine.advance(1_000);
  first.close();
  const second = open();
  await until(() => second.document.text("body") === "draft");
  await machine.advance(1_000);
  server.create(ROW, { body: "server: " });
  machine.network = "up";
  machine.goOnline();
  await until(() => server.text(ROW).includes("draft"));
  await machine.advance(10_000);
  expect(server.text(ROW).replace("server: ", "")).toBe("draft");
  expect(second.document.text("body")).toBe(server.text(ROW));
});

test("a rejected change is removed from the document and reported", async () => {
  const browser = await bound("short");
  const { server, page, until, errors } = browser;
  server.refusal = refusal(400, "VALIDATION_FAILED", { field: "body" });
  page.document.setText("body", "too long");
  expect(page.document.text("body")).toBe("too long");
  await until(() => errors.length > 0);
  expect(errors[0]).toMatchObject({ code: "VALIDATION_FAILED", entity: "Note", rowId: "n1" });
  expect(page.document.text("body")).toBe("short");
  server.refusal = null;
  page.document.setText("body", "shorter");
  await until(() => server.text(ROW) === "shorter");
  expect(errors).toHaveLength(1);
});

test("a rejected change of one field leaves the other one, and is handed back", async () => {
  const { machine, server, page, until, errors } = await bound("milk");
  machine.network = "down";
  machine.cut();
  page.document.setText("body", "milk, bread");
  page.document.setText("title", "A long title");
  server.refusal = refusal(400, "VALIDATION_FAILED", { field: "title" });
  machine.network = "up";
  machine.goOnline();
  await until(() => errors.length > 0);
  server.refusal = null;
  expect(errors[0]).toMatchObject({ field: "title", texts: { title: "A long title" } });
  expect(page.document.text("title")).toBe("T");
  expect(page.document.text("body")).toBe("milk, bread");
  await until(() => server.text(ROW) === "milk, bread");
  expect(server.text(ROW, "title")).toBe("T");
});

/** Random, so that nothing compresses it. */
function randomText(length: number): string {
  let text = "";
  while (text.length < length) text += crypto.getRandomValues(new Uint8Array(48_000)).toBase64();
  return text.slice(0, length);
}

test("a text that is too long for one update is sent in several, or by a later visit", async () => {
  const { machine, server, page, until, open } = await bound("begin");
  const [first, second] = [randomText(600_000), randomText(300_000)];
  page.document.setText("body", `begin${first}`);
  await until(() => server.text(ROW) === `begin${first}`, 60_000);
  expect(server.pushes.length).toBeGreaterThanOrEqual(3);
  for (const { bytes } of server.pushes)
    expect(bytes).toBeLessThanOrEqual(MAX_DOCUMENT_UPDATE_BYTES);
  machine.network = "down";
  machine.cut();
  page.document.setText("body", `begin${first}${second}`);
  await machine.advance(3_000);
  page.close();
  machine.network = "up";
  const engine = openEngine(machine, page);
  await until(() => server.text(ROW) === `begin${first}${second}`, 60_000);
  engine.stop();
  const last = open();
  await until(() => last.document.text("body") === `begin${first}${second}`);
}, 60_000);

test("thousands of keystrokes without a connection are stored and sent", async () => {
  const { machine, server, page, until, open } = await bound("begin");
  machine.network = "down";
  machine.cut();
  for (let count = 0; count < 5_000; count += 1)
    page.document.edit("body", { start: (count * 7_919) % (count + 1), removed: 0, inserted: "k" });
  const text = page.document.text("body");
  await machine.advance(3_000);
  page.close();
  const later = open();
  await until(() => later.document.text("body") === text);
  machine.network = "up";
  machine.goOnline();
  await until(() => server.text(ROW) === text, 60_000);
  // What is stored in several parts is sent in one update.
  expect(server.pushes).toHaveLength(1);
}, 60_000);

test("a text that the server never accepts is rejected as a whole, and handed back", async () => {
  const { server, page, until, errors } = await bound("begin");
  server.maxLength = 1_000_000;
  const pasted = randomText(5_000_000);
  page.document.setText("body", pasted);
  await until(() => errors.length > 0);
  expect(errors[0]?.code).toBe("PAYLOAD_TOO_LARGE");
  expect(errors[0]?.texts?.["body"] === pasted).toBe(true);
  expect(page.document.text("body")).toBe("begin");
  expect(server.text(ROW)).toBe("begin");
  page.document.setText("body", "begin again");
  await until(() => server.text(ROW) === "begin again");
}, 60_000);

test("updates are made smaller for a proxy that limits requests", async () => {
  const { server, page, until } = await bound("begin");
  server.maxRequestBytes = 100_000;
  const text = randomText(200_000);
  page.document.setText("body", text);
  await until(() => server.text(ROW) === text, 60_000);
});

test.each([429, 500, 503])("a response with status %i does not lose the change", async (status) => {
  const { server, page, until, errors, machine } = await bound("a");
  server.refusal = refusal(status, status === 429 ? "RATE_LIMITED" : "INTERNAL");
  page.document.setText("body", "ab");
  await machine.advance(5_000);
  expect(page.document.text("body")).toBe("ab");
  server.refusal = null;
  await until(() => server.text(ROW) === "ab", 60_000);
  expect(errors).toEqual([]);
});

test("a lost frame is noticed with the next one", async () => {
  const { server, page, until } = await bound("one");
  server.sendsFrames = false;
  server.edit(ROW, (text) => text.push(" two"));
  server.sendsFrames = true;
  server.edit(ROW, (text) => text.push(" three"));
  await until(() => page.document.text("body") === "one two three");
});

test("a document with another history replaces the known one, with unsent changes", async () => {
  const { machine, server, page, until } = await bound("one");
  machine.network = "down";
  machine.cut();
  page.document.setText("body", "one two");
  server.create(ROW, { body: "zero one" });
  machine.network = "up";
  machine.goOnline();
  await until(() => server.text(ROW) === "zero one two");
  await until(() => page.document.text("body") === "zero one two");
});

test("a document whose history was dropped is continued, with unsent changes", async () => {
  const { machine, server, page, until, errors } = await bound("one");
  machine.network = "down";
  machine.cut();
  page.document.setText("body", "one two");
  server.edit(ROW, (text) => text.insert(0, "zero "));
  server.dropHistory(ROW);
  machine.network = "up";
  machine.goOnline();
  await until(() => server.text(ROW) === "zero one two");
  await until(() => page.document.text("body") === "zero one two");
  // A rejection can't be undone by the library then: the server is asked again.
  server.refusal = refusal(403, "POLICY_DENIED");
  page.document.setText("body", "zero one two three");
  await until(() => errors.length > 0);
  server.refusal = null;
  await until(() => page.document.text("body") === "zero one two");
  page.document.setText("body", "zero one two four");
  await until(() => server.text(ROW) === "zero one two four");
});

test("a reload while offline keeps changes of a document without its history", async () => {
  const { machine, server, page, until, open } = await bound("one");
  server.edit(ROW, (text) => text.insert(0, "zero "));
  server.dropHistory(ROW);
  page.close();
  const second = open();
  await until(() => second.document.text("body") === "zero one");
  machine.network = "down";
  machine.cut();
  second.document.setText("body", "zero one two");
  await machine.advance(3_000);
  second.close();
  const third = open();
  await until(() => third.document.text("body") === "zero one two");
  machine.network = "up";
  machine.goOnline();
  await until(() => server.text(ROW) === "zero one two");
});

test("without sockets the row is shown, and edits are written into it", async () => {
  const browser = new Browser();
  const { machine, until } = bind(browser);
  const written: unknown[] = [];
  const { intercept } = machine;
  machine.intercept = (path, body) => {
    if (path === "/api/sync/push") {
      const { changes } = JSON.parse(body) as {
        readonly changes: readonly { readonly data: Readonly<Record<string, unknown>> }[];
      };
      written.push(...changes.map(({ data }) => data["body"]));
    }
    return intercept(path, body);
  };
  machine.sockets = "blocked";
  machine.insert("n1");
  const page = browser.open();
  await until(() => page.engine.store.get("Note", "n1") !== null, 30_000);
  page.document.setText("body", "a");
  await until(() => written.includes("a"), 30_000);
  for (let count = 1; count <= 50; count += 1) {
    page.document.setText("body", "b".repeat(count));
    await machine.advance(100);
  }
  // Not only once the user pauses.
  expect(written.length).toBeGreaterThan(2);
  await until(() => written.at(-1) === "b".repeat(50));
});

test("without sockets the document is read by requests, and edits are merged", async () => {
  const browser = new Browser();
  const { machine, server, until } = bind(browser);
  machine.sockets = "blocked";
  server.create(ROW, { body: "milk" });
  const page = browser.open();
  await until(() => page.document.text("body") === "milk", 30_000);
  page.document.setText("body", "milk, bread");
  server.edit(ROW, (text) => text.insert(0, "oat "));
  await until(() => server.text(ROW) === "oat milk, bread", 30_000);
  await until(() => page.document.text("body") === "oat milk, bread", 30_000);
  expect(page.engine.status.pending).toBe(0);
  machine.sockets = "work";
  machine.goOnline();
  await machine.advance(60_000);
  const { reads } = server;
  server.edit(ROW, (text) => text.insert(0, "2 "));
  await until(() => page.document.text("body") === "2 oat milk, bread");
  await machine.advance(60_000);
  expect(server.reads).toBe(reads);
});

test("invalid frames are ignored", async () => {
  const { machine, server, page, until } = await bound("one");
  server.sendBytes(ROW, new Uint8Array([1, 2, 3]));
  const valid = server.snapshot(ROW);
  server.sendBytes(ROW, valid.slice(0, valid.length - 3));
  server.sendBytes(
    ROW,
    valid.map((byte, index) => (index > 30 ? byte ^ 255 : byte)),
  );
  await machine.advance(1_000);
  server.edit(ROW, (text) => text.push("!"));
  await until(() => page.document.text("body") === "one!");
});

test("after signing out nothing of the document is shown, stored or sent", async () => {
  const { machine, server, page, until, open } = await bound("secret");
  machine.network = "down";
  machine.cut();
  page.document.setText("body", "secret plan");
  await machine.advance(3_000);
  page.engine.session.setToken(null);
  expect(page.document.text("body")).toBe("");
  await machine.advance(3_000);
  page.close();
  machine.network = "up";
  machine.storage.set("pylon_token", "token-of-ann");
  const later = open();
  await until(() => later.document.text("body") === "secret");
  await machine.advance(10_000);
  expect(server.text(ROW)).toBe("secret");
});

/** A browser's members, which tests take apart. */
function bind(browser: Browser): {
  readonly machine: VirtualMachine;
  readonly server: VirtualDocuments;
  readonly until: Browser["until"];
  readonly open: Browser["open"];
  readonly errors: readonly MutationError[];
} {
  const { machine, server, errors } = browser;
  return {
    machine,
    server,
    errors,
    until: (condition, withinMs) => browser.until(condition, withinMs),
    open: (options) => browser.open(options),
  };
}

async function bound(text: string): Promise<ReturnType<typeof bind> & { readonly page: Page }> {
  const browser = await opened(text);
  return { ...bind(browser), page: browser.page };
}

/** Starts an engine of the same browser that opens no document. */
function openEngine(_machine: VirtualMachine, { engine }: Page): SyncEngine {
  engine.start();
  return engine;
}

test("what the document has no text for any longer is written into the row", async () => {
  const { machine, server, page, until, errors } = await bound("plan");
  const written: unknown[] = [];
  const { intercept } = machine;
  machine.intercept = (path, body) => {
    if (path === "/api/sync/push") written.push(JSON.parse(body));
    return intercept(path, body);
  };
  await page.engine.insert("Note", { id: "n1", body: "the plan" });
  await page.engine.flushed();
  // After a rename of the field, the server rejects edits of its earlier text.
  server.refusal = refusal(400, "CRDT_APPLY_FAILED");
  page.document.setText("body", "plan B");
  await until(() => JSON.stringify(written.at(-1)).includes("the plan B"));
  expect(errors).toEqual([]);
  expect(page.engine.status.pending).toBe(0);
});
