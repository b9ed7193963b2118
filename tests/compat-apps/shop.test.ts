import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";

// Covers rows 1 to 5, 8, 11 and 13 of section 2 of spec/compat.md, and D1 and D3, in a browser.

let server: TestServer;
let browser: Browser;
const problems: string[] = [];

beforeAll(async () => {
  const app = await loadApp(join(import.meta.dir, "shop"), { dev: false });
  server = await startServer(app, { SHOP_AUTHOR: "Ada" });
  browser = await launchBrowser();
}, 60_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** A page whose engine runs anonymously. */
async function visitor(): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(error.message));
  const connected = page.waitForEvent("websocket");
  await page.goto(server.url);
  await connected;
  return page;
}

const press = (page: Page, name: string): Promise<void> =>
  page.getByRole("button", { name, exact: true }).click();

async function register(page: Page, email: string): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await press(page, "Create account");
  await page.getByRole("list", { name: "Orders" }).waitFor({ state: "attached" });
}

test("scheduled calls advance an order, and every page is live", async () => {
  const [ann, other] = await Promise.all([visitor(), visitor()]);
  await register(ann, "ann@example.com");
  await press(ann, "Seed");
  // All 150 rows are there, also on the page without a sign-in.
  for (const page of [ann, other])
    await page.getByRole("status").filter({ hasText: "150 products, CanLoadMore" }).waitFor();
  expect(await other.locator("nav button").count()).toBe(4);
  await press(other, "More");
  await other.getByRole("button", { name: "Lamp 005" }).waitFor();

  await press(ann, "Lamp 000");
  await press(other, "Lamp 000");
  await press(ann, "Buy");
  await ann.getByRole("list", { name: "Orders" }).getByText("delivered").waitFor();
  await other.getByText("1 left").waitFor();

  // The promise rejects with the failure, and neither the stock nor an order is changed.
  await press(ann, "Fail");
  await ann.getByRole("alert").filter({ hasText: "nothing of it is kept" }).waitFor();
  await press(ann, "Buy");
  await ann.getByText("0 left").waitFor();
  await press(ann, "Buy");
  await ann.getByRole("alert").filter({ hasText: "Lamp 000 is sold out" }).waitFor();
  await ann.locator("ol li").nth(1).filter({ hasText: "delivered" }).waitFor();
  expect(await ann.locator("ol li").count()).toBe(2);
  expect(problems).toEqual([]);
}, 60_000);

test("charts read the names of the public system, and follow the rows", async () => {
  const page = await visitor();
  for (const text of [
    "Acme: 50 in 2 colors",
    "Globex: 50 in 2 colors",
    "2026-01: 100",
    "2026-02: 50",
  ])
    await page.getByRole("list", { name: "Charts" }).getByText(text, { exact: true }).waitFor();
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const product = { name: "Chair", brand: "Acme", color: "green", price: 1, stock: 1 };
  await admin.insert("Product", { ...product, isNew: true, createdAt: "2026-03-01T00:00:00Z" });
  await page.getByText("Acme: 51 in 3 colors", { exact: true }).waitFor();
  await page.getByText("2026-03: 1", { exact: true }).waitFor();
  expect(problems).toEqual([]);
}, 60_000);

test("an action streams to the page, and its scheduled call runs afterwards", async () => {
  const page = await visitor();
  await press(page, "Lamp 000");
  await press(page, "Describe");
  await page.getByText("One of 151, by Ada. Checked.").waitFor();
  await page.locator("output").filter({ hasText: "One of 151, by Ada." }).waitFor();
  expect(problems).toEqual([]);
}, 60_000);

test("handlers receive each member of ctx that the public system has", async () => {
  const ann = await TestClient.guest(server.url);
  const catalog = await ann.request("POST", "/api/fn/catalog", { brand: "Globex" });
  expect(catalog.body).toMatchObject({
    names: ["Lamp 145", "Lamp 142", "Lamp 139"],
    first: "Lamp 000",
    page: 2,
    isDone: false,
    graph: ["Order"],
    missing: null,
  });
  const [{ id }] = JSON.parse(
    (await ann.request("POST", "/api/query/Product", { name: "Lamp 001" })).text,
  ) as [{ id: string }];
  const described = await ann.request("POST", "/api/fn/describe", { productId: id });
  expect(described.body).toMatchObject({ jobId: expect.any(String), requestId: "string" });
  const reserved = await ann.request("POST", "/api/fn/reserve", { orderId: id });
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const job = `/api/jobs/${String(reserved.body["jobId"])}`;
  expect((await admin.request("GET", job)).body["status"]).toBe("pending");
  await ann.request("POST", "/api/fn/reserve", { cancel: reserved.body["jobId"] });
  await until(async () => (await admin.request("GET", job)).body["status"] === "cancelled");
});

test("a sign-up fills the required fields of the user's row, and hides the hash", async () => {
  const nobody = new TestClient(server.url, null);
  const body = { email: "eve@example.com", password: "correct horse battery" };
  const { status, body: session } = await nobody.request(
    "POST",
    "/api/auth/password/register",
    body,
  );
  expect(status).toBe(200);
  const eve = new TestClient(server.url, String(session["token"]), String(session["user_id"]));
  const { body: row } = await eve.request("GET", `/api/entities/User/${eve.userId}`);
  expect(row).toMatchObject({
    email: body.email,
    displayName: "eve",
    avatarColor: expect.stringMatching(/^#[0-9a-f]{6}$/i),
    createdAt: expect.stringMatching(/^20/),
  });
  expect(row).not.toHaveProperty("passwordHash");
});
