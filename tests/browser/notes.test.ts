import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { accessibilityProblems } from "../support/accessibility.ts";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, until } from "../support/client.ts";
import { keepShell } from "../support/keep-shell.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";

// Two people write in the same note, in a real browser.

const root = join(import.meta.dir, "..", "..");
const WIDE = { width: 1280, height: 760 };
const PHONE = { width: 360, height: 720 };

let server: TestServer;
let browser: Browser;
let admin: TestClient;
const problems: string[] = [];

beforeAll(async () => {
  const app = await loadApp(join(root, "examples/notes"), { dev: false });
  [server, browser] = await Promise.all([
    startServer(app, { PYLON_SINGLE_PORT: "1" }),
    launchBrowser("--disable-features=LocalNetworkAccessChecks"),
  ]);
  admin = new TestClient(server.url, ADMIN_TOKEN);
}, 60_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** A user with a separate browser context, who has entered. */
async function enter(name: string): Promise<Writer> {
  const context = await browser.newContext({ viewport: WIDE });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    const isNetwork = /Failed to load resource|WebSocket connection|ERR_/.test(message.text());
    if (message.type() === "error" && !isNetwork) problems.push(message.text());
  });
  await page.goto(server.url);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Open the notebook" }).click();
  await page.getByRole("button", { name: "New note" }).waitFor();
  return new Writer(context, page);
}

class Writer {
  readonly context: BrowserContext;
  page: Page;

  constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
  }

  get title(): Locator {
    return this.page.getByLabel("Title");
  }
  get body(): Locator {
    return this.page.getByLabel("Text");
  }

  async open(id: string): Promise<void> {
    await this.page.goto(`${server.url}/#/${id}`);
    await this.body.waitFor();
  }

  async shows(text: string): Promise<void> {
    await until(async () => (await this.body.inputValue()) === text);
  }

  /** Places the caret, or selects a part of the text. */
  select(start: number, end = start): Promise<void> {
    return this.body.evaluate(
      (element: HTMLTextAreaElement, [from, to]) => {
        element.focus();
        element.setSelectionRange(from ?? 0, to ?? 0);
      },
      [start, end],
    );
  }

  /** The selected text, and what is in front of it. */
  selection(): Promise<readonly [before: string, selected: string]> {
    return this.body.evaluate((element: HTMLTextAreaElement) => {
      const { value, selectionStart, selectionEnd } = element;
      return [value.slice(0, selectionStart), value.slice(selectionStart, selectionEnd)] as const;
    });
  }

  async state(text: string): Promise<void> {
    await this.page.getByTestId("connection").filter({ hasText: text }).waitFor();
  }

  /** Opens the page again, in the same browser. */
  async reopen(): Promise<void> {
    const url = this.page.url();
    await this.page.close();
    this.page = await this.context.newPage();
    this.page.setDefaultTimeout(10_000);
    await this.page.goto(url);
    await this.body.waitFor();
  }
}

async function column(id: string): Promise<unknown> {
  return (await admin.request("GET", `/api/entities/Note/${id}`)).body["body"];
}

/** Two writers in the same note. */
async function together(title: string, text: string): Promise<readonly [Writer, Writer, string]> {
  const [ann, tom] = await Promise.all([enter("Ann Lee"), enter("Tom Ito")]);
  const id = await admin.insert("Note", { title, body: text, authorId: "admin" });
  await Promise.all([ann.open(id), tom.open(id)]);
  await Promise.all([ann.shows(text), tom.shows(text)]);
  return [ann, tom, id];
}

async function leave(...writers: readonly Writer[]): Promise<void> {
  for (const { context } of writers) {
    // A file may still be on its way.
    await context.unrouteAll({ behavior: "ignoreErrors" });
    await context.close();
  }
  expect(problems).toEqual([]);
}

test("two people type in the same note at once, and both keep their place", async () => {
  const [ann, tom, id] = await together("Agenda", "one\nthree\n");
  await ann.select(4);
  await tom.select(10);
  await Promise.all([
    ann.page.keyboard.type("two\n", { delay: 20 }),
    tom.page.keyboard.type("four\n", { delay: 20 }),
  ]);
  const text = "one\ntwo\nthree\nfour\n";
  await Promise.all([ann.shows(text), tom.shows(text)]);
  expect(await ann.selection()).toEqual(["one\ntwo\n", ""]);
  expect(await tom.selection()).toEqual([text, ""]);
  await until(async () => (await column(id)) === text);
  await leave(ann, tom);
}, 60_000);

test("a selection keeps its text while others write before, in and after it", async () => {
  const [ann, tom] = await together("Letters", "aaa bbb ccc");
  await ann.select(4, 7);
  await tom.select(0);
  await tom.page.keyboard.type("Hi ");
  await ann.shows("Hi aaa bbb ccc");
  expect(await ann.selection()).toEqual(["Hi aaa ", "bbb"]);
  await tom.select(8);
  await tom.page.keyboard.type("x");
  await ann.shows("Hi aaa bxbb ccc");
  expect(await ann.selection()).toEqual(["Hi aaa ", "bxbb"]);
  await ann.page.keyboard.type("y");
  await tom.shows("Hi aaa y ccc");
  await leave(ann, tom);
}, 60_000);

test("edits made offline survive a reload, and are merged", async () => {
  const [ann, tom, id] = await together("Groceries", "milk\nbread\n");
  await keepShell(ann.context);
  await ann.page.reload();
  await ann.shows("milk\nbread\n");
  await ann.context.setOffline(true);
  await ann.state("Offline");
  await ann.select(11);
  await ann.page.keyboard.type("eggs\n");
  await ann.page.getByText("Your changes are merged later.").waitFor();
  await tom.select(0);
  await tom.page.keyboard.type("oat ");
  await until(async () => (await column(id)) === "oat milk\nbread\n");
  // A draft, if the document had not arrived again before the page went offline.
  await until(async () => /base|eggs/.test((await partsOnDisk(ann.page)).join()));
  await ann.reopen();
  await ann.shows("milk\nbread\neggs\n");
  await ann.select(11);
  await ann.page.keyboard.type("six ");
  await ann.shows("milk\nbread\nsix eggs\n");
  await ann.context.setOffline(false);
  const merged = "oat milk\nbread\nsix eggs\n";
  await Promise.all([ann.shows(merged), tom.shows(merged)]);
  await until(async () => (await column(id)) === merged);
  await until(async () => (await partsOnDisk(ann.page)).length === 0);
  await leave(ann, tom);
}, 60_000);

test("text of an input method is not disturbed by others", async () => {
  const [ann, tom] = await together("Drinks", "tea");
  await ann.select(3);
  const devtools = await ann.context.newCDPSession(ann.page);
  await devtools.send("Input.imeSetComposition", {
    text: "´",
    selectionStart: 1,
    selectionEnd: 1,
  });
  await tom.select(0);
  await tom.page.keyboard.type("green ");
  await ann.page.getByText("1 word").waitFor();
  await devtools.send("Input.imeSetComposition", {
    text: "é",
    selectionStart: 1,
    selectionEnd: 1,
  });
  await devtools.send("Input.insertText", { text: "é" });
  await Promise.all([ann.shows("green teaé"), tom.shows("green teaé")]);
  expect(await ann.selection()).toEqual(["green teaé", ""]);
  await leave(ann, tom);
}, 60_000);

test("a new note is written at once, and shows who is there", async () => {
  const [ann, tom] = await Promise.all([enter("Ann Lee"), enter("Tom Ito")]);
  await ann.page.getByRole("button", { name: "New note" }).click();
  await ann.title.fill("Weekend");
  await ann.body.pressSequentially("Saturday: swim in the lake, if the weather is good. ");
  await tom.page.getByRole("link", { name: "Weekend" }).click();
  await tom.shows("Saturday: swim in the lake, if the weather is good. ");
  await tom.select(52);
  await tom.page.keyboard.type("I bring the cake.");
  await ann.shows(`Saturday: swim in the lake, if the weather is good. I bring the cake.`);
  await ann.page.getByText("Tom Ito is writing…").waitFor();
  await ann.page.getByRole("link", { name: /^Weekend Saturday.*cake/ }).waitFor();
  await picture(ann.page, "notes.png");
  expect(await accessibilityProblems(ann.page)).toEqual([]);
  await tom.page.setViewportSize(PHONE);
  await tom.page.emulateMedia({ colorScheme: "dark" });
  expect(await accessibilityProblems(tom.page)).toEqual([]);
  await leave(ann, tom);
}, 60_000);

test("a note that was created and written offline reaches the server after a reload", async () => {
  const ann = await enter("Ann Lee");
  await keepShell(ann.context);
  await ann.page.reload();
  await ann.state("Live");
  await ann.context.setOffline(true);
  await ann.state("Offline");
  await ann.page.getByRole("button", { name: "New note" }).click();
  await ann.title.fill("On the train");
  await ann.body.pressSequentially("no network");
  await until(async () => (await partsOnDisk(ann.page)).join().includes('"no network"'));
  await ann.reopen();
  await ann.shows("no network");
  await ann.select(10);
  await ann.page.keyboard.type(" here");
  await ann.shows("no network here");
  await ann.context.setOffline(false);
  const id = new URL(ann.page.url()).hash.slice(2);
  await until(async () => (await column(id)) === "no network here");
  await until(async () => (await partsOnDisk(ann.page)).length === 0);
  expect(await ann.title.inputValue()).toBe("On the train");
  await ann.shows("no network here");
  await leave(ann);
}, 60_000);

test("what two tabs write offline is sent once, also that of a closed one", async () => {
  const ann = await enter("Ann Lee");
  const id = await admin.insert("Note", { title: "Tabs", body: "()", authorId: "admin" });
  await keepShell(ann.context);
  await ann.open(id);
  const other = new Writer(ann.context, await ann.context.newPage());
  await other.open(id);
  await Promise.all([ann.shows("()"), other.shows("()")]);
  // Both have the document, and not only the row.
  await other.select(1);
  await other.page.keyboard.type("a");
  await Promise.all([ann.shows("(a)"), other.shows("(a)")]);
  await ann.context.setOffline(true);
  await Promise.all([ann.state("Offline"), other.state("Offline")]);
  await other.select(0);
  await other.page.keyboard.type("one ");
  await ann.select(3);
  await ann.page.keyboard.type(" two");
  await until(
    async () => (await partsOnDisk(ann.page)).filter((kind) => kind === "changes").length === 2,
  );
  await other.page.close();
  await ann.context.setOffline(false);
  await until(async () => (await column(id)) === "one (a) two");
  await ann.shows("one (a) two");
  await until(async () => (await partsOnDisk(ann.page)).length === 0);
  await leave(ann);
}, 60_000);

/** Takes a screenshot for the docs if PYLON_PICTURES is set. */
async function picture(page: Page, name: string): Promise<void> {
  if (process.env["PYLON_PICTURES"] === "1")
    await page.screenshot({ path: join(root, "docs/images", name) });
}

/** The stored parts of documents: the text of a draft, and the kind of any other part. */
function partsOnDisk(page: Page): Promise<readonly string[]> {
  return page.evaluate(async () => {
    const [info] = await indexedDB.databases();
    const done = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.addEventListener("success", () => resolve(request.result));
        request.addEventListener("error", () => reject(request.error ?? new Error("It failed.")));
      });
    const db = await done(indexedDB.open(info?.name ?? ""));
    const parts = await done(db.transaction("documents").objectStore("documents").getAll());
    db.close();
    return (parts as readonly { readonly kind: string; readonly bytes: Uint8Array }[]).map(
      ({ kind, bytes }) => (kind === "draft" ? new TextDecoder().decode(bytes) : kind),
    );
  });
}
