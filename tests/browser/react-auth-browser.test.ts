import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import jsQR from "jsqr";
import { Secret, TOTP, URI } from "otpauth";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { addAuthenticator } from "../support/virtual-authenticator.ts";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, until } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { OIDC_CLIENT, startOidcProvider, type OidcServer } from "../support/oidc-provider.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

const PASSWORD = "correct horse battery";
const ANOTHER = "another long password";
const APP = join(import.meta.dir, "..", "support", "sign-in-app");
/** The folder of the screenshots. Set SCREENSHOTS to choose a folder that is kept. */
const shots = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "pylon-shots-"));

let mail: MailServer;
let oidc: OidcServer;
/**
 * The first server sends mail; the second one is in dev mode, because otherwise providers must use
 * https.
 */
let server: TestServer;
let dev: TestServer;
let url: string;
let devUrl: string;
let browser: Browser;
let context: BrowserContext;
let page: Page;
const problems: string[] = [];

beforeAll(async () => {
  mail = await startMailServer();
  const [port, devPort] = [await freePort(), await freePort()];
  [url, devUrl] = [`http://localhost:${port}`, `http://localhost:${devPort}`];
  oidc = await startOidcProvider(`${devUrl}/api/auth/callback/acme`);
  const common = {
    PYLON_SINGLE_PORT: "1",
    PYLON_COOKIE_SECURE: "0",
    PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32),
  };
  server = await startServer(await loadApp(APP, { dev: false }), {
    ...common,
    PYLON_PORT: String(port),
    PYLON_PUBLIC_URL: url,
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "forms@example.com",
  });
  dev = await startServer(await loadApp(APP, { dev: false }), {
    ...common,
    PYLON_DEV_MODE: "1",
    PYLON_PORT: String(devPort),
    PYLON_PUBLIC_URL: devUrl,
    PYLON_OAUTH_ACME_CLIENT_ID: OIDC_CLIENT.id,
    PYLON_OAUTH_ACME_CLIENT_SECRET: OIDC_CLIENT.secret,
    PYLON_OAUTH_ACME_OIDC_ISSUER: oidc.issuer,
  });
  browser = await launchBrowser("--host-resolver-rules=MAP *.pylon.test 127.0.0.1");
  context = await browser.newContext({ viewport: { width: 480, height: 720 } });
  page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(error.message));
});
afterAll(async () => {
  await browser.close();
  await Promise.all([server.stop(), dev.stop()]);
  await Promise.all([oidc.stop(), mail.stop()]);
});

const codeTo = async (email: string, count = 1): Promise<string> =>
  /\b\d{6}\b/.exec((await mail.to(email, count)).text)?.[0] ?? "";
const press = (name: string): Promise<void> =>
  page.getByRole("button", { name, exact: true }).click();
/** The focus moves after the page is rendered, so the test waits for it. */
const focusOn = (name: string): Promise<void> =>
  until(() =>
    page.evaluate(
      (wanted) => (document.activeElement as HTMLInputElement | null)?.name === wanted,
      name,
    ),
  );
const shot = (name: string): Promise<unknown> =>
  page.screenshot({ path: join(shots, `react-${name}.png`), fullPage: true });

async function atHome(origin = url): Promise<void> {
  await page.waitForURL(`${origin}/home`);
  await page
    .locator("output")
    .filter({ hasNotText: /nobody|not known/ })
    .waitFor();
}

/** The codes arrive with the server's response, and `allTextContents` does not wait for it. */
async function backupCodes(): Promise<string[]> {
  const items = page.getByRole("list", { name: "Backup codes" }).getByRole("listitem");
  await items.first().waitFor();
  const codes = await items.allTextContents();
  expect(codes.length).toBe(10);
  return codes;
}

/** The text of the QR code on the page, as a phone's camera would read it. */
async function scanned(): Promise<string> {
  const pixels = await page
    .getByRole("img", { name: "Key for your authenticator app" })
    .evaluate(async (svg) => {
      const image = new Image();
      const text = new XMLSerializer().serializeToString(svg);
      image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
      await image.decode();
      const canvas = new OffscreenCanvas(300, 300);
      const context = canvas.getContext("2d");
      if (context === null) throw new Error("no canvas");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, 300, 300);
      context.drawImage(image, 0, 0, 300, 300);
      return [...context.getImageData(0, 0, 300, 300).data];
    });
  return jsQR(new Uint8ClampedArray(pixels), 300, 300)?.data ?? "";
}

async function signOut(): Promise<void> {
  await page.getByRole("button", { name: /^Account of/ }).click();
  await press("Sign out");
  await page.waitForURL("**/signed-out");
  await page.locator("output").filter({ hasText: "nobody" }).waitFor();
}

async function byPassword(email: string, password: string): Promise<void> {
  await page.goto(`${url}/sign-in`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await press("Sign in");
}

test("a sign-up shows its error at the field, is confirmed by mail, and signs in", async () => {
  await page.goto(`${url}/sign-up`);
  await page.getByLabel("Name").fill("Ann");
  await page.getByLabel("E-mail").fill("ann@example.com");
  await page.getByLabel("Password").fill("password123");
  await press("Create the account");
  await page.getByRole("alert").filter({ hasText: "too common" }).waitFor();
  await focusOn("password");
  expect(await page.getByLabel("Password").getAttribute("aria-invalid")).toBe("true");
  await page.getByLabel("Password").fill(PASSWORD);
  await press("Create the account");
  await page.getByRole("status").filter({ hasText: "ann@example.com" }).waitFor();
  await focusOn("code");
  await page.getByLabel("Code").fill(await codeTo("ann@example.com"));
  await press("Confirm");
  await atHome();
  await page.getByRole("button", { name: "Account of Ann" }).click();
  await shot("user-button");
  await page.keyboard.press("Escape");
  expect(
    await page.getByRole("button", { name: "Account of Ann" }).getAttribute("aria-expanded"),
  ).toBe("false");
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toMatch(/token/);
  await signOut();
}, 60_000);

test("a mailed code and a mailed link sign in, and keep the typed address", async () => {
  await page.goto(`${url}/sign-in`);
  await page.getByLabel("E-mail").fill("ben@example.com");
  await press("Use an emailed code");
  await focusOn("email");
  expect(await page.getByLabel("E-mail").inputValue()).toBe("ben@example.com");
  await press("Send me a code");
  await page.getByLabel("Code").fill("000000");
  await press("Sign in");
  await page.getByRole("alert").filter({ hasText: /\w/ }).waitFor();
  await shot("code-wrong");
  await page.getByLabel("Code").fill(await codeTo("ben@example.com"));
  await press("Sign in");
  await atHome();
  await signOut();

  await page.goto(`${url}/sign-in`);
  await press("Use an emailed link");
  await page.getByLabel("E-mail").fill("ben@example.com");
  await press("Send me a link");
  await page.getByRole("status").filter({ hasText: "we sent a link" }).waitFor();
  await page.goto(/http:\S+/.exec((await mail.to("ben@example.com", 2)).text)?.[0] ?? "");
  await atHome();
  await signOut();
}, 60_000);

test("a forgotten password is changed, and the token is removed from the URL", async () => {
  await page.goto(`${url}/sign-in`);
  await page.getByLabel("E-mail").fill("ann@example.com");
  await press("Forgot password?");
  expect(await page.getByLabel("E-mail").inputValue()).toBe("ann@example.com");
  await shot("forgot");
  await press("Send me a link");
  await page.getByRole("status").filter({ hasText: "we sent a link" }).waitFor();
  const link = /http:\S+/.exec((await mail.to("ann@example.com", 2)).text)?.[0] ?? "";
  expect(link.startsWith(`${url}/reset#token=`)).toBe(true);
  await page.goto(link);
  await page.getByLabel("New password").fill(ANOTHER);
  expect(page.url()).toBe(`${url}/reset`);
  await press("Change the password");
  await page.getByRole("status").filter({ hasText: "was changed" }).waitFor();
  await byPassword("ann@example.com", PASSWORD);
  await page.getByRole("alert").filter({ hasText: "wrong" }).waitFor();
  await byPassword("ann@example.com", ANOTHER);
  await atHome();
}, 60_000);

test("a sign-out that does not reach the server is reported as failed", async () => {
  await page.goto(`${url}/home`);
  await atHome();
  await page.getByRole("button", { name: /^Account of/ }).click();
  await context.setOffline(true);
  await press("Sign out");
  await page.getByRole("alert").filter({ hasText: "can't be reached" }).waitFor();
  await context.setOffline(false);
  await press("Sign out");
  await page.waitForURL("**/signed-out");
  await byPassword("ann@example.com", ANOTHER);
  await atHome();
}, 60_000);

test("an account adds an authenticator app, and a passkey without a password", async () => {
  await addAuthenticator(page);
  await page.goto(`${url}/account`);
  await press("Add a passkey");
  await page.getByRole("button", { name: /^Delete the passkey/ }).waitFor();
  expect(
    await page
      .locator("input[autocomplete=username]")
      .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value)),
  ).toEqual(["ann@example.com", "ann@example.com"]);
  await page.getByLabel("Current password").fill(ANOTHER);
  await page.getByLabel("New password").fill(ANOTHER);
  await press("Change the password");
  await page.getByRole("status").filter({ hasText: "Your password was changed" }).waitFor();
  // With the new token of the session.
  await page.getByRole("button", { name: "Add an authenticator app" }).waitFor();
  expect(await page.getByRole("button", { name: "Remove the app" }).count()).toBe(0);
  await press("Add an authenticator app");
  // Both by QR code and by typing the key.
  const totp = URI.parse(await scanned()) as TOTP;
  expect([totp.secret.base32, totp.label]).toEqual([
    (await page.locator(".pylon-secret").textContent()) ?? "",
    "ann@example.com",
  ]);
  await shot("authenticator");
  await page.getByLabel("Code from the app").fill(totp.generate());
  await press("Confirm");
  const codes = await backupCodes();
  await shot("account");
  await page.reload();
  await page.getByRole("button", { name: "Remove the app" }).waitFor();
  expect(await page.getByRole("button", { name: "Add an authenticator app" }).count()).toBe(0);
  await page.goto(`${url}/home`);
  await signOut();

  await byPassword("ann@example.com", ANOTHER);
  await page.getByLabel(/^Code from your authenticator app/).waitFor();
  await focusOn("code");
  await shot("second-factor");
  await page.getByLabel(/^Code from your authenticator app/).fill("000000");
  await press("Continue");
  await page.getByRole("alert").filter({ hasText: "wrong" }).waitFor();
  await page.getByLabel(/^Code from your authenticator app/).fill(codes[0] ?? "");
  await press("Continue");
  await atHome();
  await signOut();

  await page.goto(`${url}/sign-in`);
  await press("Use a passkey");
  await atHome();
  await signOut();
}, 60_000);

/** Signs in on the provider's own pages. */
async function agreeAs(login: string): Promise<void> {
  await page.locator("[name=login]").fill(login);
  await page.locator("[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.getByRole("button", { name: "Continue" }).click();
}

test("a provider signs in, and form and page require the second factor", async () => {
  await page.goto(`${devUrl}/sign-in`);
  await page.getByRole("button", { name: "Continue with Acme" }).waitFor();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    // Bundlers handle colours differently: the styles must have survived.
    const look = await page
      .getByRole("button", { name: "Sign in", exact: true })
      .evaluate((button) => [
        getComputedStyle(button).backgroundColor,
        getComputedStyle(button).color,
      ]);
    expect([colorScheme, ...look]).toEqual([colorScheme, "rgb(37, 99, 235)", "rgb(255, 255, 255)"]);
    await shot(`sign-in-${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await press("Continue with Acme");
  await agreeAs("cid");
  await atHome(devUrl);
  await page.goto(`${devUrl}/account`);
  await press("Add an authenticator app");
  const totp = new TOTP({
    secret: Secret.fromBase32((await page.locator(".pylon-secret").textContent()) ?? ""),
  });
  await page.getByLabel("Code from the app").fill(totp.generate());
  await press("Confirm");
  const codes = await backupCodes();
  await page.goto(`${devUrl}/home`);
  await signOut();

  await page.goto(`${devUrl}/sign-in`);
  await press("Continue with Acme");
  await page.getByLabel(/^Code from your authenticator app/).fill(codes[0] ?? "");
  expect(page.url()).not.toContain("oauth_error");
  await press("Continue");
  await atHome(devUrl);
  await signOut();

  await page.goto(`${devUrl}/auth/sign-in?redirect=/home`);
  await page.getByRole("link", { name: "Continue with Acme" }).click();
  await page
    .getByLabel("Code", { exact: true })
    .locator("visible=true")
    .fill(codes[1] ?? "");
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await atHome(devUrl);
  await signOut();
}, 60_000);

test("a domain's cookie opens the socket on its hosts, and not on another host", async () => {
  const port = await freePort();
  const origin = `http://app.pylon.test:${port}`;
  const env = {
    PYLON_PORT: String(port),
    PYLON_SINGLE_PORT: "1",
    PYLON_COOKIE_SECURE: "0",
    PYLON_PUBLIC_URL: origin,
    PYLON_COOKIE_DOMAIN: "pylon.test",
    PYLON_CORS_ORIGIN: origin,
  };
  const site = await startServer(await loadApp(APP, { dev: false }), env);
  const visit = await browser.newContext();
  try {
    const tab = await visit.newPage();
    await tab.goto(`${origin}/sign-up`);
    await tab.getByLabel("E-mail").fill("dan@example.com");
    await tab.getByLabel("Password").fill(PASSWORD);
    await tab.getByRole("button", { name: "Create the account" }).click();
    await tab.waitForURL(`${origin}/home`);
    const userId =
      (await tab
        .locator("output")
        .filter({ hasNotText: /nobody|not known/ })
        .textContent()) ?? "";
    const sockets: string[] = [];
    const other = await visit.newPage();
    other.on("websocket", (socket) => void sockets.push(new URL(socket.url()).host));
    await other.goto(
      `${origin}/home?socket=${encodeURIComponent(`ws://api.pylon.test:${port}/ws`)}`,
    );
    await other.locator("[data-connection=live]").waitFor({ state: "attached" });
    await new TestClient(site.url, ADMIN_TOKEN).request("PATCH", `/api/entities/User/${userId}`, {
      displayName: "Daniel",
    });
    await other.locator("[data-connection]").filter({ hasText: "Daniel" }).waitFor();
    expect(sockets).toEqual([`api.pylon.test:${port}`]);

    // The same domain, but not a trusted origin.
    const evil = await visit.newPage();
    await evil.goto(`http://evil.pylon.test:${port}/health`);
    const outcome = await evil.evaluate(
      (address) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(address);
          socket.onopen = () => resolve("opened");
          socket.onerror = () => resolve("refused");
        }),
      `ws://api.pylon.test:${port}/ws?since=0`,
    );
    expect(outcome).toBe("refused");
  } finally {
    await visit.close();
    await site.stop();
  }
}, 60_000);

test("a sign-in that was cancelled at the provider is reported, once", async () => {
  for (const [code, words] of [
    ["OAUTH_DENIED", "You did not allow it there"],
    ["ANYTHING", "This sign-in did not work."],
  ]) {
    await page.goto(
      `${devUrl}/sign-in?oauth_error=${code}&oauth_error_message=Call%20555-0100%20to%20unlock.`,
    );
    await page.getByRole("alert").filter({ hasText: words }).waitFor();
    expect(await page.locator("body").textContent()).not.toContain("555-0100");
  }
  expect(page.url()).toBe(`${devUrl}/sign-in`);
  expect(problems).toEqual([]);
}, 60_000);
