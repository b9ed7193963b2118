import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";

// Covers rows 1 to 3, 5 to 8, 11 and 13 of section 2 of spec/compat.md, and D2, D3, D14 and D15, in
// a browser.

let server: TestServer;
let browser: Browser;
let admin: TestClient;
const problems: string[] = [];

beforeAll(async () => {
  const app = await loadApp(join(import.meta.dir, "erp"), { dev: true });
  server = await startServer(app, { PYLON_DEV_MODE: "true" });
  admin = new TestClient(server.url, ADMIN_TOKEN);
  browser = await launchBrowser();
}, 60_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
});

let number = 0;
function newUser(): Promise<string> {
  return admin.insert("User", {
    email: `user${(number += 1)}@example.com`,
    displayName: "U",
    avatarColor: "#000000",
    passwordHash: "",
    createdAt: "2026-01-01T00:00:00Z",
  });
}

/** The number of sockets that each page has opened. */
const sockets = new Map<Page, number>();

async function visitor(token?: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("websocket", () => sockets.set(page, (sockets.get(page) ?? 0) + 1));
  if (token !== undefined)
    await page.addInitScript((stale) => {
      if (localStorage.length === 0) localStorage.setItem("pylon:erp:token", stale);
    }, token);
  await page.goto(server.url);
  return page;
}

async function become(page: Page, userId: string): Promise<void> {
  await page.getByLabel("User").fill(userId);
  await press(page, "Become");
  await page.locator("h1").waitFor();
}

const press = (page: Page, name: string): Promise<void> =>
  page.getByRole("button", { name, exact: true }).click();

test("the guest's token becomes the user's, and the page selects the tenant", async () => {
  const ann = await visitor();
  await become(ann, await newUser());
  await press(ann, "New organization");
  await ann.locator("h1").filter({ hasText: "Org 1" }).waitFor();
  await press(ann, "Add invoice");
  await ann.getByText("INV-1: 100").waitFor();
  await ann.locator("output").filter({ hasText: "2026-03: 100" }).waitFor();

  // Another organization has separate books, and no organization shows the books of both.
  await press(ann, "New organization");
  await ann.locator("h1").filter({ hasText: "Org 2" }).waitFor();
  await ann.locator("output").waitFor({ state: "detached" });
  expect(await ann.getByText("INV-1: 100").count()).toBe(0);
  await press(ann, "Open Org 1");
  await ann.getByText("INV-1: 100").waitFor();
  await press(ann, "Close");
  await ann.locator("h1").filter({ hasText: "No organization" }).waitFor();
  expect(problems).toEqual([]);
}, 60_000);

test("a user's only organization is selected, without repeated reconnects", async () => {
  const userId = await newUser();
  const orgId = await admin.insert("Org", { name: "Only" });
  await admin.insert("OrgMember", { userId, orgId, role: "owner" });
  const page = await visitor();
  await become(page, userId);
  await page.locator("h1").filter({ hasText: "Only" }).waitFor();
  await press(page, "Add invoice");
  await page.getByText("INV-1: 100").waitFor();
  expect(sockets.get(page)).toBeLessThan(5);
  // The rejection reaches the catch block.
  await press(page, "Crown");
  await page.getByRole("alert").filter({ hasText: "king is not a role" }).waitFor();
  expect(problems).toEqual([]);
}, 60_000);

test("members of a tenant see each other's writes live, and others see none", async () => {
  const orgId = await admin.insert("Org", { name: "Shared" });
  const pages = [];
  for (const role of ["owner", "member"]) {
    const userId = await newUser();
    await admin.insert("OrgMember", { userId, orgId, role });
    const page = await visitor();
    await become(page, userId);
    await page.locator("h1").filter({ hasText: "Shared" }).waitFor();
    pages.push(page);
  }
  const [ann, bob] = pages;
  if (ann === undefined || bob === undefined) throw new Error("Two pages were opened.");
  for (const page of pages)
    await page.getByRole("status").filter({ hasText: "1 others" }).waitFor();
  await press(ann, "Add invoice");
  await bob.getByText("INV-1: 100").waitFor();
  const stranger = await TestClient.guest(server.url);
  expect((await stranger.request("GET", "/api/entities/Invoice")).body["data"]).toEqual([]);
  const row = { orgId, number: "inv-9", total: 1, createdAt: "2026-03-01T00:00:00Z" };
  expect((await stranger.request("POST", "/api/entities/Invoice", row)).status).toBe(403);
  expect(problems).toEqual([]);
}, 60_000);

test("the page removes an expired token, and shows the sign-in", async () => {
  const page = await visitor("a-token-of-last-year");
  await page.getByLabel("User").waitFor();
  await become(page, await newUser());
  await page.locator("h1").filter({ hasText: "No organization" }).waitFor();
  expect(problems).toEqual([]);
}, 60_000);

test("a function receives the tenant that the page selected", async () => {
  const userId = await newUser();
  const orgId = await admin.insert("Org", { name: "Told" });
  await admin.insert("OrgMember", { userId, orgId, role: "owner" });
  const guest = await TestClient.guest(server.url);
  await guest.request("POST", "/api/auth/upgrade", { user_id: userId });
  const ask = async (): Promise<unknown> =>
    (await guest.request("POST", "/api/fn/whoAmI", {})).body;
  expect(await ask()).toEqual({ userId, tenantId: null, org: null });
  expect((await guest.request("POST", "/api/auth/select-org", { orgId })).body).toMatchObject({
    tenantId: orgId,
  });
  expect(await ask()).toEqual({ userId, tenantId: orgId, org: "Told" });
  expect(await guest.request("POST", "/api/auth/select-org", { orgId: "none" })).toMatchObject({
    status: 403,
    body: { error: { code: "NOT_A_MEMBER" } },
  });
});
