import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { query } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { workflow } from "@pylonsync/workflows";
import type { Browser, Locator, Page } from "playwright-core";
import { accessibilityProblems } from "../support/accessibility.ts";
import { launchBrowser } from "../support/browser.ts";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const Thing = entity("Thing", {
  title: field.string(),
  note: field.string().optional(),
  constructor: field.string().optional(),
  data: field.json().optional(),
  tags: field.array(field.string()).optional(),
  pin: field.string().optional().hidden(),
  score: field.int().default(7),
});
const app = appOf(
  buildManifest({ name: "Things", version: "1.0.0", entities: [Thing], policies: [] }),
  {
    bare: query({ handler: () => undefined }),
    long: query({ handler: () => Array.from({ length: 50_000 }, (_, n) => `item ${n}`) }),
    markup: query({ handler: () => "<img src=x onerror=document.title='run'>" }),
  },
  [workflow("quick", () => null)],
);

let server: TestServer;
let browser: Browser;
let admin: TestClient;

beforeAll(async () => {
  server = await startServer(app, { PYLON_DEV_MODE: "1", PYLON_HOST: "localhost" });
  browser = await launchBrowser();
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Opens a place in Studio. An error in the page fails the test. */
async function open(hash: string, url = server.url): Promise<{ page: Page; errors: string[] }> {
  const page = await (await browser.newContext()).newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(`${url}/studio${hash}`);
  return { page, errors };
}

const panelOf = (page: Page): Locator => page.getByRole("complementary");

/** The input of a field, by the name before its type. */
const input = (page: Page, name: string): Locator => page.getByLabel(new RegExp(`^${name} `));

/** Sets a field of the open row to null. */
async function clear(page: Page, name: string): Promise<void> {
  const editor = panelOf(page).locator(".field", { has: input(page, name) });
  await editor.getByRole("button", { name: "set to null" }).click();
}

async function save(page: Page): Promise<void> {
  await panelOf(page).getByRole("button", { name: "Save" }).click();
  await panelOf(page)
    .getByRole("button", { name: "Discard changes" })
    .waitFor({ state: "detached" });
}

async function stored(id: string): Promise<Readonly<Record<string, unknown>>> {
  return (await admin.request("GET", `/api/entities/Thing/${id}`)).body;
}

test("fields of each type and name are changed, alone and together, and set to null", async () => {
  const id = await admin.insert("Thing", { title: "One", data: { a: 1 }, note: "n" });
  const { page, errors } = await open(`#/data/Thing?row=${id}`);
  await input(page, "data").fill('{"a": 2}');
  await save(page);
  await input(page, "pin").fill("1234");
  await save(page);
  await input(page, "constructor").fill("made");
  await input(page, "tags").fill('["x"]');
  await input(page, "note").fill("");
  await save(page);
  expect(await stored(id)).toMatchObject({
    data: { a: 2 },
    constructor: "made",
    tags: ["x"],
    note: "",
  });
  for (const name of ["data", "constructor", "tags", "note"]) await clear(page, name);
  await save(page);
  expect(await stored(id)).toMatchObject({ data: null, constructor: null, tags: null, note: null });
  expect(await page.locator("tbody td", { hasText: /^hidden$/ }).count()).toBe(1);
  expect(errors).toEqual([]);
  await page.context().close();
});

test("an address with a removed field says that it does not filter, and stays usable", async () => {
  const id = await admin.insert("Thing", { title: "Found" });
  const query = new URLSearchParams([
    ["where", "removed $eq x"],
    ["where", "score $eq many"],
    ["where", 'title $in ["Found", "a, b"]'],
    ["order", "removed asc"],
    ["row", id],
  ]);
  const { page, errors } = await open(`#/data/Thing?${query}`);
  await page.getByText("There is no field removed. It does not filter.").waitFor();
  await page.getByText("Enter a number, such as 12. It does not filter.").waitFor();
  await page.getByText("1 row", { exact: true }).waitFor();
  await input(page, "title").waitFor();
  expect(await accessibilityProblems(page)).toEqual([]);
  expect(errors).toEqual([]);
  await page.context().close();
});

test("a check of another caller does not leave the result of the one before", async () => {
  const id = await admin.insert("Thing", { title: "Checked" });
  const { page } = await open(`#/data/Thing?row=${id}`);
  const check = page.getByRole("button", { name: "Check" });
  const outcomes = panelOf(page).locator("dt");
  await check.click();
  await outcomes.first().waitFor();
  await page.getByLabel("User id").fill('{"userId"');
  await outcomes.first().waitFor({ state: "detached" });
  await check.click();
  await panelOf(page).getByText("This is not JSON").waitFor();
  await page.getByLabel("User id").fill('{"userId": "u1", "roles": ["editor"]}');
  await check.click();
  await outcomes.first().waitFor();
  await page.context().close();
});

test("a change of JSON by someone else is not overwritten either", async () => {
  const id = await admin.insert("Thing", { title: "Shared", data: { a: 1 } });
  const { page } = await open(`#/data/Thing?row=${id}`);
  await input(page, "data").fill('{"a": "mine"}');
  await admin.request("PATCH", `/api/entities/Thing/${id}`, { data: { a: "theirs" } });
  await page.locator("tbody td", { hasText: '{"a":"theirs"}' }).waitFor();
  await panelOf(page).getByRole("button", { name: "Save" }).click();
  await panelOf(page).getByText("data: somebody else has changed it.").waitFor();
  expect(await stored(id)).toMatchObject({ data: { a: "theirs" } });
  await page.context().close();
});

test("the keyboard opens and closes a row; changes are dropped only after a question", async () => {
  const id = await admin.insert("Thing", { title: "Kept" });
  const { page } = await open("#/data/Thing");
  const row = page.locator("tbody tr", { hasText: "Kept" }).getByRole("button");
  await row.focus();
  await page.keyboard.press("Enter");
  await input(page, "title").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Changed");
  page.once("dialog", (dialog) => void dialog.dismiss());
  await page.keyboard.press("Escape");
  expect(await input(page, "title").inputValue()).toBe("Changed");
  page.once("dialog", (dialog) => void dialog.accept());
  await page.keyboard.press("Escape");
  await panelOf(page).waitFor({ state: "detached" });
  expect(await row.evaluate((button) => button === document.activeElement)).toBe(true);
  expect(await stored(id)).toMatchObject({ title: "Kept" });

  await page.goBack();
  await input(page, "title").waitFor();
  await page.goBack();
  await panelOf(page).waitFor({ state: "detached" });
  await page.context().close();
});

test("neither Back nor a link drops changes without a question", async () => {
  const id = await admin.insert("Thing", { title: "Asked" });
  const { page } = await open("#/data/Thing");
  await page.locator("tbody tr", { hasText: "Asked" }).getByRole("button").click();
  await input(page, "title").fill("Changed");
  const answer = async (how: "accept" | "dismiss", leave: () => Promise<unknown>) => {
    const asked = page.waitForEvent("dialog");
    const left = leave();
    await (await asked)[how]();
    await left.catch(() => undefined);
  };
  const link = page.getByRole("link", { name: "Jobs and crons" });
  await answer("dismiss", () => page.evaluate(() => history.back()));
  await answer("dismiss", () => link.click());
  expect(await input(page, "title").inputValue()).toBe("Changed");
  expect(new URL(page.url()).hash).toContain(`row=${id}`);
  await answer("accept", () => link.click());
  await page.getByRole("heading", { name: "Jobs and crons" }).waitFor();
  // Without changes, nothing is asked.
  await page.goBack();
  await input(page, "title").fill("Saved");
  await save(page);
  await link.click();
  await page.getByRole("heading", { name: "Jobs and crons" }).waitFor();
  expect(await stored(id)).toMatchObject({ title: "Saved" });
  await page.context().close();
});

test("a function without declared arguments, a long result and markup are shown", async () => {
  const { page, errors } = await open("#/functions/bare");
  const call = page.getByRole("button", { name: "Call", exact: true });
  const result = page.locator("form pre");
  await call.click();
  await result.getByText("null").waitFor();
  await page.getByRole("link", { name: "long" }).click();
  await call.click();
  await result.getByText(/more characters$/).waitFor();
  await page.getByRole("link", { name: "markup" }).click();
  await call.click();
  await result.getByText("<img src=x").waitFor();
  expect(await page.title()).toBe("Things Studio");
  expect(errors).toEqual([]);
  await page.context().close();
});

test("the overview counts the rows again, although it lists none of them", async () => {
  const { page } = await open("#/");
  const count = page.locator(".card", { hasText: "Thing" }).locator("strong");
  await count.filter({ hasText: /\d/ }).waitFor();
  const before = Number(await count.textContent());
  await admin.insert("Thing", { title: "Counted" });
  await count.filter({ hasText: new RegExp(`^${before + 1}$`) }).waitFor();
  await page.context().close();
});

test("a part that fails says so, and the other parts stay usable", async () => {
  const { page } = await open("#/");
  await page.route("**/api/fn", (route) => route.fulfill({ json: 5 }));
  const parts = page.getByRole("navigation");
  await parts.getByRole("link", { name: "Functions" }).click();
  await page.getByRole("heading", { name: "This part of Studio has failed" }).waitFor();
  await parts.getByRole("link", { name: "Jobs and crons" }).click();
  await page.getByRole("heading", { name: "Jobs and crons" }).waitFor();
  await page.unroute("**/api/fn");
  await parts.getByRole("link", { name: "Functions" }).click();
  await page.getByRole("link", { name: "bare" }).waitFor();
  await page.context().close();
});

test("the address of a run shows it, even if many newer ones exist", async () => {
  const start = async (): Promise<string> => {
    const { body } = await admin.request("POST", "/api/workflows/start", { name: "quick" });
    return String(body["id"]);
  };
  const first = await start();
  for (let n = 0; n < 50; n += 1) await start();
  const { page } = await open(`#/workflows/${first}`);
  await page.getByRole("heading", { name: "quick" }).waitFor();
  await page.getByText("Only the newest 50 are shown.").waitFor();
  expect(await page.locator(`a[href="#/workflows/${first}"]`).count()).toBe(0);
  await page.getByRole("button", { name: "failed" }).click();
  await page.getByText("No runs.").waitFor();
  await page.context().close();
});

test("after a restart of the server, Studio has what was entered, and the log", async () => {
  const PYLON_DB_PATH = join(mkdtempSync(join(tmpdir(), "pylon-studio-")), "data.db");
  const env = {
    PYLON_DEV_MODE: "1",
    PYLON_HOST: "localhost",
    PYLON_LOG_LEVEL: "debug",
    PYLON_IN_MEMORY: "",
    PYLON_SINGLE_PORT: "1",
  };
  const before = await startServer(app, { ...env, PYLON_DB_PATH });
  const { url } = before;
  const id = await new TestClient(url, ADMIN_TOKEN).insert("Thing", { title: "One" });
  const { page, errors } = await open(`#/data/Thing?row=${id}`, url);
  const { page: log } = await open("#/logs", url);
  await log.getByRole("button", { name: "debug" }).click();
  await log.locator("ol.log li").first().waitFor();
  await input(page, "title").fill("Two");
  await before.stop();
  await page.locator('.dot[data-state="live"]').waitFor({ state: "detached" });

  const after = await startServer(app, { ...env, PYLON_DB_PATH, PYLON_PORT: new URL(url).port });
  try {
    await page.locator('nav .dot[data-state="live"]').waitFor();
    expect(await input(page, "title").inputValue()).toBe("Two");
    await save(page);
    await page.locator("tbody td", { hasText: "Two" }).waitFor();
    await log.locator("ol.log li", { hasText: "/api/transact" }).first().waitFor();
    expect(errors).toEqual([]);
  } finally {
    await page.context().close();
    await log.context().close();
    await after.stop();
  }
});
