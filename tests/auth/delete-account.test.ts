import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, until } from "../support/client.ts";
import { OIDC_CLIENT, startOidcProvider, type OidcServer } from "../support/oidc-provider.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

const APP = join(import.meta.dir, "..", "support", "sign-in-app");
const PASSWORD = "correct horse battery";
const ELEVEN_MINUTES_MS = 11 * 60_000;
/** The folder of the screenshots. SCREENSHOTS names one that is kept, to look at them. */
const shots = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "pylon-shots-"));

let oidc: OidcServer;
let server: TestServer;
let browser: Browser;
let url: string;
/** How far the server's clock is ahead of the browser's, in milliseconds. */
let aheadMs = 0;

beforeAll(async () => {
  const port = await freePort();
  url = `http://localhost:${port}`;
  oidc = await startOidcProvider(`${url}/api/auth/callback/acme`);
  server = await startServer(
    await loadApp(APP, { dev: false }),
    {
      PYLON_DEV_MODE: "1",
      PYLON_PORT: String(port),
      PYLON_PUBLIC_URL: url,
      PYLON_SINGLE_PORT: "1",
      PYLON_COOKIE_SECURE: "0",
      PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32),
      PYLON_OAUTH_ACME_CLIENT_ID: OIDC_CLIENT.id,
      PYLON_OAUTH_ACME_CLIENT_SECRET: OIDC_CLIENT.secret,
      PYLON_OAUTH_ACME_OIDC_ISSUER: oidc.issuer,
    },
    {
      now: () => Date.now() + aheadMs,
      random: (bytes) => void crypto.getRandomValues(bytes),
    },
  );
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await oidc.stop();
});

async function open(): Promise<Page> {
  aheadMs = 0;
  const context = await browser.newContext({ viewport: { width: 480, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  return page;
}

/** Signs in and consents on the provider's own pages. */
async function agreeAs(page: Page, login: string): Promise<void> {
  await page.locator("[name=login]").fill(login);
  await page.locator("[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.getByRole("button", { name: "Continue" }).click();
}

async function users(): Promise<string> {
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  return JSON.stringify((await admin.request("GET", "/api/entities/User")).body);
}

test.each([
  ["<Account/>", "/account", "react", "/signed-out"],
  ["the page of the server", "/auth/account", "page", "/auth/sign-in"],
])(
  "C6: %s deletes an account without a password after a fresh sign-in and a typed word",
  async (_what, path, name, afterwards) => {
    const login = `oauth-${name}`;
    const page = await open();
    await page.goto(`${url}/sign-in`);
    await page.getByRole("button", { name: "Continue with Acme" }).click();
    await agreeAs(page, login);
    await page.waitForURL(`${url}/home`);
    expect(await users()).toContain(login);

    aheadMs = ELEVEN_MINUTES_MS;
    await page.goto(url + path);
    await page.getByText("Sign in again to delete your account.").waitFor();
    expect(await page.getByRole("button", { name: "Delete my account" }).isVisible()).toBe(false);
    expect(await page.getByLabel("Current password").isVisible()).toBe(false);
    await page.screenshot({ path: join(shots, `delete-again-${name}.png`), fullPage: true });
    await page
      .getByRole("link", { name: "Continue with Acme" })
      .or(page.getByRole("button", { name: "Continue with Acme" }))
      .locator("visible=true")
      .click();
    await page.waitForURL(url + path);

    const leave = page.getByRole("button", { name: "Delete my account" });
    const word = page.getByLabel(/Type .*delete.* to confirm/);
    await word.waitFor();
    await page.screenshot({ path: join(shots, `delete-word-${name}.png`), fullPage: true });
    expect(await page.locator("form:has([name=word]) [type=password]:visible").count()).toBe(0);
    await word.fill("keep");
    await leave.click();
    expect(await users()).toContain(login);
    await word.fill("delete");
    await leave.click();
    await until(async () => !(await users()).includes(login));
    // Wait for the navigation: closing a page while it navigates may never finish.
    await page.waitForURL(url + afterwards);
    await page.context().close();
  },
  60_000,
);

test.each([
  ["<Account/>", "/account", "react", "/signed-out"],
  ["the page of the server", "/auth/account", "page", "/auth/sign-in"],
])(
  "C6: %s asks users with a password for it",
  async (_what, path, name, afterwards) => {
    const email = `password-${name}@example.com`;
    const page = await open();
    await page.goto(`${url}/sign-in`);
    await page.evaluate(
      async ([address, password]) => {
        await fetch("/api/auth/password/register", {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ email: address, password, displayName: "Pat" }),
        });
      },
      [email, PASSWORD],
    );
    aheadMs = ELEVEN_MINUTES_MS;
    await page.goto(url + path);
    const leave = page.getByRole("button", { name: "Delete my account" });
    await leave.waitFor();
    expect(await page.getByLabel(/to confirm/).isVisible()).toBe(false);
    expect(await page.getByLabel("Current password").isVisible()).toBe(true);
    const password = page.locator("form", { has: leave }).locator("[type=password]");
    await leave.click();
    expect(await users()).toContain(email);
    await password.fill(PASSWORD);
    await leave.click();
    await until(async () => !(await users()).includes(email));
    // Wait for the navigation: closing a page while it navigates may never finish.
    await page.waitForURL(url + afterwards);
    await page.context().close();
  },
  60_000,
);
