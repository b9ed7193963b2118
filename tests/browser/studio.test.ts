import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { http, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { workflow } from "@pylonsync/workflows";
import type { Browser, Locator, Page } from "playwright-core";
import { accessibilityProblems } from "../support/accessibility.ts";
import { launchBrowser } from "../support/browser.ts";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const Customer = entity("Customer", { name: field.string() });
const Order = entity("Order", {
  title: field.string(),
  status: field.enum(["placed", "shipped"]).default("placed"),
  cents: field.int(),
  paid: field.bool().default(false),
  customerId: field.id("Customer").optional(),
  tags: field.array(field.string()).optional(),
  ownerId: field.string().owner(),
  tenantId: field.string().optional(),
});
const handler = (): Response => new Response();
const loaded = appOf(
  buildManifest({
    name: "Shop",
    version: "1.2.3",
    entities: [Customer, Order],
    policies: [
      policy({ name: "own_orders", entity: "Order", allow: "auth.userId == data.ownerId" }),
      policy({ name: "customers", entity: "Customer", allow: "auth.userId != null" }),
    ],
    crons: [{ name: "nightly", schedule: "0 2 * * *", function: "tidy" }],
  }),
  {
    add: mutation({
      args: { title: v.string(), cents: v.int(), note: v.optional(v.string()) },
      handler: async (ctx, { title, cents }) => {
        console.log(`adding ${title}`);
        return {
          id: await ctx.db.insert("Order", { title, cents, ownerId: ctx.auth.userId ?? "" }),
        };
      },
    }),
    count: query({ handler: async (ctx) => ctx.db.count("Order") }),
    tidy: mutation({ handler: () => null }),
    broken: query({
      handler: () => {
        throw new Error("It is broken.");
      },
    }),
    flaky: mutation({
      handler: (ctx) => {
        attempts += 1;
        if (attempts === 1) throw ctx.error("FLAKY", "The first attempt fails.");
        return null;
      },
    }),
  },
  [
    workflow("ship", async (_, { step, waitForEvent }) => {
      await step("pack", () => "packed");
      await waitForEvent("delivered", { timeout: "1d" });
    }),
  ],
);
const app = {
  ...loaded,
  http: new Map([
    [
      "invoice",
      http({ method: "GET", path: "/invoices/:id", auth: "user", cookies: true, handler }),
    ],
    ["stripe", http({ method: ["POST", "PUT"], path: "/hooks/stripe", handler })],
  ]),
};
let attempts = 0;

/** The folder of the screenshots. Set SCREENSHOTS to choose a folder that is kept. */
const shots = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "pylon-shots-"));
let server: TestServer;
let production: TestServer;
let browser: Browser;
let admin: TestClient;

beforeAll(async () => {
  [server, production] = await Promise.all([
    startServer(app, { PYLON_DEV_MODE: "1", PYLON_HOST: "localhost" }),
    startServer(app),
  ]);
  browser = await launchBrowser();
  admin = new TestClient(server.url, ADMIN_TOKEN);
  for (let n = 1; n <= 60; n += 1) await insert({ title: `Order ${n}`, cents: n * 100 });
});
afterAll(async () => {
  await browser.close();
  await Promise.all([server.stop(), production.stop()]);
});

async function insert(data: object): Promise<string> {
  return admin.insert("Order", { ownerId: "ann", ...data });
}

/** Opens a place in Studio. What the page's policy refuses, or an error in it, fails the test. */
async function open(hash: string, { url = server.url, isDark = false } = {}): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: isDark ? "dark" : "light",
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  page.on("console", (line) => {
    if (/Content Security Policy/.test(line.text())) throw new Error(line.text());
  });
  await page.goto(`${url}/studio${hash}`);
  return page;
}

const rowsOf = (page: Page): Promise<number> => page.locator("tbody tr").count();

test("rows are live, in pages, ordered, and filtered by the address", async () => {
  const page = await open("#/data/Order");
  await page.getByText("60 rows").waitFor();
  await page.locator("tbody tr").nth(49).waitFor();
  expect(await rowsOf(page)).toBe(50);
  await page.getByRole("button", { name: "Show 50 more" }).click();
  await page.locator("tbody tr").nth(59).waitFor();

  await page.getByRole("button", { name: "cents" }).click();
  await page.locator("tbody tr").first().getByText("Order 1", { exact: true }).waitFor();

  await page.getByRole("button", { name: "+ Filter" }).click();
  await page.getByLabel("Field").selectOption("cents");
  await page.getByLabel("Comparison").selectOption("$gte");
  await page.getByLabel("Value").fill("5900");
  await page.getByText("2 rows").waitFor();
  await insert({ title: "Live", cents: 6100 });
  await page.locator("tbody tr", { hasText: "Live" }).waitFor();
  await page.getByText("3 rows").waitFor();

  await page.reload();
  await page.getByText("3 rows").waitFor();
  expect(await page.getByLabel("Value").inputValue()).toBe("5900");
  await page.context().close();
});

test("a row is inserted, changed, checked against the policies, and deleted", async () => {
  const page = await open("#/data/Order");
  await page.getByRole("button", { name: "New row" }).click();
  const panel = page.getByRole("complementary");
  await panel.getByLabel("title").fill("Desk");
  await panel.getByLabel("cents").fill("12.5");
  await panel.getByLabel("ownerId").fill("bob");
  await panel.getByRole("button", { name: "Insert" }).click();
  await panel.getByText(/cents is 12.5, not a whole number/).waitFor();
  expect(await panel.getByLabel("cents").getAttribute("aria-invalid")).toBe("true");
  await panel.getByLabel("cents").fill("1250");
  await panel.getByLabel("tags").fill('["new"]');
  await panel.getByRole("button", { name: "Insert" }).click();
  await panel.getByRole("button", { name: "Save" }).waitFor();

  await panel.getByLabel("status").selectOption("shipped");
  await panel.getByRole("button", { name: "Save" }).click();
  const row = page.locator("tbody tr", { hasText: "Desk" });
  await row.getByText("shipped").waitFor();
  await row.getByText('["new"]').waitFor();
  await page.screenshot({ path: join(shots, "studio-row.png") });

  await panel.getByLabel("User id").fill("eve");
  await panel.getByRole("button", { name: "Check" }).click();
  await panel.getByText("auth.userId == data.ownerId").first().waitFor();
  expect(await panel.locator("dt").allTextContents()).toContain("read refused");

  await panel.getByRole("button", { name: "Delete row" }).click();
  await panel.getByRole("button", { name: "Delete", exact: true }).click();
  await row.waitFor({ state: "detached" });
  await panel.waitFor({ state: "detached" });
  await page.context().close();
});

test("a change of someone else is not overwritten", async () => {
  const id = await insert({ title: "Shared", cents: 1 });
  const page = await open(`#/data/Order?row=${id}`);
  const panel = page.getByRole("complementary");
  await panel.getByLabel("title").fill("Mine");
  await admin.request("PATCH", `/api/entities/Order/${id}`, { title: "Theirs" });
  await page.locator("tbody tr", { hasText: "Theirs" }).waitFor();
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("ROW_CHANGED").waitFor();
  await panel.getByRole("button", { name: "Discard changes" }).click();
  expect(await panel.getByLabel("title").inputValue()).toBe("Theirs");
  await page.context().close();
});

test("a reference leads to its row", async () => {
  const id = await admin.insert("Customer", { name: "Ann" });
  await insert({ title: "Referring", cents: 1, customerId: id });
  const page = await open("#/data/Order");
  await page.locator("tbody tr", { hasText: "Referring" }).getByRole("link").click();
  await page.getByRole("heading", { name: "Customer" }).first().waitFor();
  expect(await page.getByRole("complementary").getByLabel("name").inputValue()).toBe("Ann");
  await page.context().close();
});

test("a function is called as a user, and its call is listed with what it did", async () => {
  const page = await open("#/functions/add");
  const args = page.getByLabel("Arguments, as JSON");
  expect(JSON.parse(await args.inputValue())).toEqual({ title: "", cents: 0 });
  await args.fill('{"title": "Called", "cents": "x"}');
  await page.getByRole("button", { name: "Call" }).click();
  await page.getByText("INVALID_ARGS").first().waitFor();
  await args.fill('{"title": "Called", "cents": 5}');
  await page.getByLabel("Call as the user").fill("carl");
  await page.getByRole("button", { name: "Call" }).click();
  await page.locator("pre", { hasText: '"id"' }).waitFor();
  await page.locator("details", { hasText: "user carl" }).first().click();
  await page.getByText("insert Order").first().waitFor();
  await page.getByText("adding Called").waitFor();
  await page.screenshot({ path: join(shots, "studio-function.png") });
  await page.context().close();
});

test("a job that failed for good is retried, and a pending one is cancelled", async () => {
  await admin.request("POST", "/api/jobs", { name: "flaky", payload: {}, max_retries: 0 });
  await admin.request("POST", "/api/jobs", { name: "count", payload: {}, delay_secs: 3600 });
  const page = await open("#/jobs");
  const job = (name: string, status: string): Locator =>
    page.locator("details", { hasText: name }).filter({ hasText: status });
  await job("flaky", "dead").locator("summary").click();
  await page.getByText("The first attempt fails.").waitFor();
  await page.getByRole("button", { name: "Retry", exact: true }).click();
  await job("flaky", "completed").waitFor();
  await job("count", "pending").locator("summary").click();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await job("count", "cancelled").waitFor();
  await page.getByRole("button", { name: /^dead 0/ }).click();
  await page.getByText("No jobs.").waitFor();
  await page.context().close();
});

test("a cron is called now", async () => {
  const page = await open("#/jobs");
  await page.getByRole("button", { name: "Call now" }).click();
  await page.locator("details", { hasText: "tidy" }).first().waitFor();
  await page.context().close();
});

test("a run of a workflow is shown step by step, and cancelled", async () => {
  const { body } = await admin.request("POST", "/api/workflows/start", {
    name: "ship",
    input: { order: "o1" },
  });
  const page = await open(`#/workflows/${String(body["id"])}`);
  const steps = page.locator("ol.steps");
  await steps.getByText("pack").waitFor();
  await steps.getByText('"packed"').waitFor();
  await page.getByText("It waits for the event delivered.").waitFor();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("heading", { name: /Cancelled/ }).waitFor();
  await page.context().close();
});

test("new lines of the log appear, at the chosen level", async () => {
  const page = await open("#/logs");
  await page.getByRole("button", { name: "error" }).click();
  await page.getByText("No lines yet.").waitFor();
  await admin.request("POST", "/api/fn/broken", {});
  await page.locator("ol.log li", { hasText: "broken" }).first().waitFor();
  await page.context().close();
});

test("the schema has the fields, their rules, and the policies", async () => {
  const page = await open("#/schema");
  const status = page.locator("tr", { hasText: "status" });
  expect(await status.textContent()).toContain('enum ["placed","shipped"], default "placed"');
  await page.getByText("auth.userId == data.ownerId").waitFor();
  await page.context().close();
});

test("in production, Studio opens with the admin token only, and forgets it", async () => {
  const page = await open("", { url: production.url });
  await page.getByLabel("Admin token").fill("wrong");
  await page.getByRole("button", { name: "Open Studio" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Admin token").fill(ADMIN_TOKEN);
  await page.getByRole("button", { name: "Open Studio" }).click();
  await page.getByRole("heading", { name: "Rows" }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  expect(kept).not.toContain(ADMIN_TOKEN);
  await page.reload();
  await page.getByLabel("Admin token").waitFor();
  await page.context().close();
});

test("HTTP functions are listed, and the id of an organization is shortened", async () => {
  const tenantId = "0197f3a2c5d80000000a1b2c3d4e5f60718293a4";
  const order = { title: "Rug", cents: 1, ownerId: "ann", tenantId };
  await admin.request("POST", "/api/entities/Order", order);
  const page = await open("#/functions");
  const rows = page.getByRole("region", { name: "HTTP functions" }).getByRole("row");
  await rows.nth(2).waitFor();
  const stripe = ["POST, PUT", "/hooks/stripe", "everyone", "stripe"];
  const signedIn = "signed-in users, also by cookie";
  const invoice = ["GET", "/invoices/:id", signedIn, "invoice"];
  const shown = await rows.evaluateAll((all) =>
    all.slice(1).map((row) => [...row.children].map((cell) => cell.textContent)),
  );
  expect(shown).toEqual([stripe, invoice]);
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 860 });
    await page.screenshot({ path: join(shots, `studio-http-${width}.png`), fullPage: true });
    expect([width, await overflows(page)]).toEqual([width, false]);
  }
  await page.setViewportSize({ width: 1280, height: 860 });
  await page.goto(`${server.url}/studio#/data/Order`);
  const cell = page.getByTitle(tenantId);
  expect(await cell.textContent()).toBe("…718293a4");
  await page.screenshot({ path: join(shots, "studio-tenant-1280.png") });
  await page.context().close();
});

const PLACES = ["#/", "#/data/Order", "#/functions", "#/jobs", "#/workflows", "#/logs", "#/schema"];

test.each(["light", "dark"])("every part is accessible, in %s and on a phone", async (scheme) => {
  const page = await open("", { isDark: scheme === "dark" });
  for (const place of PLACES) {
    await page.goto(`${server.url}/studio${place}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.screenshot({ path: join(shots, `studio-${scheme}-${place.slice(2, 6)}.png`) });
    expect([place, await accessibilityProblems(page)]).toEqual([place, []]);
  }
  await page.setViewportSize({ width: 360, height: 700 });
  for (const place of PLACES) {
    await page.goto(`${server.url}/studio${place}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    expect([place, await overflows(page)]).toEqual([place, false]);
  }
  await page.context().close();
});

const overflows = (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
