import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { accessibilityProblems } from "../support/accessibility.ts";
import { launchBrowser } from "../support/browser.ts";
import { until } from "../support/client.ts";
import { OIDC_CLIENT, startOidcProvider, type OidcServer } from "../support/oidc-provider.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";
import { addAuthenticator } from "../support/virtual-authenticator.ts";

const APP = join(import.meta.dir, "..", "support", "sign-in-app");
const PASSWORD = "correct horse battery";
interface Mail {
  readonly to: string;
  readonly text: string;
}

/** The folder of the screenshots. Set SCREENSHOTS to keep them. */
const shots = process.env["SCREENSHOTS"];
const WIDE = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };

let oidc: OidcServer;
let server: TestServer;
let url: string;
let browser: Browser;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  const port = await freePort();
  url = `http://localhost:${port}`;
  oidc = await startOidcProvider(`${url}/api/auth/callback/acme`);
  server = await startServer(await loadApp(APP, { dev: false }), {
    PYLON_SINGLE_PORT: "1",
    PYLON_COOKIE_SECURE: "0",
    PYLON_DEV_MODE: "1",
    PYLON_PORT: String(port),
    PYLON_PUBLIC_URL: url,
    PYLON_OAUTH_GOOGLE_CLIENT_ID: "id",
    PYLON_OAUTH_GOOGLE_CLIENT_SECRET: "secret",
    PYLON_OAUTH_GITHUB_CLIENT_ID: "id",
    PYLON_OAUTH_GITHUB_CLIENT_SECRET: "secret",
    PYLON_OAUTH_ACME_CLIENT_ID: OIDC_CLIENT.id,
    PYLON_OAUTH_ACME_CLIENT_SECRET: OIDC_CLIENT.secret,
    PYLON_OAUTH_ACME_OIDC_ISSUER: oidc.issuer,
  });
  browser = await launchBrowser();
  context = await browser.newContext({ viewport: WIDE });
  page = await context.newPage();
  page.setDefaultTimeout(20_000);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await oidc.stop();
});

const press = (name: string): Promise<void> =>
  page.getByRole("button", { name, exact: true }).click();
const button = (name: string | RegExp): Promise<void> =>
  page.getByRole("button", { name, exact: true }).first().waitFor();
/** The headings of the page's sections, in order. */
const parts = (): Promise<string[]> => page.locator("section:visible > h2").allTextContents();

/**
 * Checks light and dark, wide and on a phone: no serious accessibility problem, and no element
 * wider than the page.
 */
async function checkLayout(name: string): Promise<void> {
  const found: string[] = [];
  for (const [size, viewport] of [
    ["wide", WIDE],
    ["phone", PHONE],
  ] as const) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const problem of await accessibilityProblems(page))
        found.push(`${name}, ${size}, ${colorScheme}: ${problem}`);
      if (shots !== undefined)
        await page.screenshot({ path: join(shots, `${name}-${colorScheme}-${size}.png`) });
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(viewport.width);
  }
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: "light" });
  expect(found).toEqual([]);
}

async function signUp(email: string): Promise<void> {
  await context.clearCookies();
  await page.goto(`${url}/sign-up`);
  await page.getByLabel("Name").fill("Ann Lee");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await press("Create the account");
  await page.waitForURL(`${url}/home`);
}

/** Signs in with an account of the provider, through the provider's own pages. */
async function signInByProvider(login: string): Promise<void> {
  await context.clearCookies();
  await page.goto(`${url}/sign-in`);
  await press("Continue with Acme");
  await page.locator("[name=login]").fill(login);
  await page.locator("[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL(`${url}/home`);
}

test("the visitors' forms and pages have no serious problem, and show logos", async () => {
  for (const path of ["/sign-in", "/sign-up", "/auth/sign-in", "/auth/sign-up"]) {
    await page.goto(url + path);
    const google = page.getByText("Continue with Google");
    await google.waitFor();
    expect(await google.locator("svg path").count()).toBe(4);
    // A provider without a logo shows its first letter.
    expect(await page.getByText("Continue with Acme").locator("span").textContent()).toBe("A");
    await checkLayout(path.slice(1).replace("/", "-"));
  }
}, 60_000);

test("the visitors' other pages have no serious problem", async () => {
  for (const path of ["/reset", "/reset#token=x", "/auth/forgot", "/auth/reset#token=x"]) {
    await page.goto(url + path);
    await page.reload();
    await page.locator("form:visible, .pylon-error:visible").first().waitFor();
    await checkLayout(path.slice(1).replace(/\W/g, "-"));
  }
  await page.goto(`${url}/auth/invitation#token=x`);
  await button("Accept");
  await checkLayout("auth-invitation");
}, 60_000);

test.each(["/sign-up", "/auth/sign-up"])(
  "%s: an error is below its field, is linked to it, and is cleared by the next try",
  async (path) => {
    await page.goto(url + path);
    await page.getByLabel("Name").fill("Ann");
    await page.getByLabel("E-mail").fill(`ann-${path.length}@example.com`);
    const field = page.getByLabel("Password");
    await field.fill("password123");
    await press("Create the account");
    await page.locator("input[aria-invalid=true]").waitFor();
    const id = await field.getAttribute("aria-describedby");
    const problem = page.locator(`[id="${id}"]`);
    expect(await problem.textContent()).toContain("too common");
    const [box, text] = [await field.boundingBox(), await problem.boundingBox()];
    if (box === null || text === null) throw new Error("The error is not shown.");
    expect(text.y - (box.y + box.height)).toBeGreaterThan(0);
    expect(text.y - (box.y + box.height)).toBeLessThan(12);
    await checkLayout(`${path.slice(1).replace("/", "-")}-error`);
    await field.fill(PASSWORD);
    await press("Create the account");
    await page.waitForURL((now) => now.pathname !== path);
    await context.clearCookies();
  },
  60_000,
);

test("a button shows a spinner during the request", async () => {
  await page.goto(`${url}/sign-in`);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  await page.route("**/password/login", async (route) => {
    await held;
    await route.abort();
  });
  await page.getByLabel("E-mail").fill("a@example.com");
  await page.getByLabel("Password").fill(PASSWORD);
  await press("Sign in");
  const busy = page.locator("form button[aria-busy=true]");
  await busy.waitFor();
  expect(await busy.isDisabled()).toBe(true);
  release();
  await page.getByRole("alert").filter({ hasText: "can't be reached" }).waitFor();
  expect(await busy.count()).toBe(0);
  await page.unroute("**/password/login");
}, 60_000);

test("a user with a password can change it, and connect providers", async () => {
  await signUp("password@example.com");
  await page.goto(`${url}/account`);
  await button("Connect Acme");
  await button("Change the password");
  expect(await parts()).toEqual([
    ...["Connected accounts", "Password", "Passkeys", "Authenticator app", "Devices", "Leave"],
  ]);
  expect(await page.getByRole("button", { name: "Set a password" }).count()).toBe(0);
  await page.getByLabel("Current password").fill("not it at all");
  await page.getByLabel("New password").fill(PASSWORD);
  await press("Change the password");
  await page.locator("[name=current_password][aria-invalid=true]").waitFor();
  await checkLayout("account-password");

  await page.goto(`${url}/auth/account`);
  await page.getByLabel("Current password").waitFor();
  expect(await page.locator("#no-password").isVisible()).toBe(false);
  await checkLayout("auth-account-password");
}, 60_000);

test("a user of a provider sees that account, and no password field", async () => {
  await addAuthenticator(page);
  await signInByProvider("cid");
  await page.goto(`${url}/account`);
  await page.locator(".pylon-named", { hasText: "Acme" }).waitFor();
  await button("Set a password");
  expect(await page.locator("input[type=password]").count()).toBe(0);
  expect(await page.getByRole("button", { name: "Connect Acme", exact: true }).count()).toBe(0);
  await button("Connect GitHub");
  await checkLayout("account-provider");
  await press("Set a password");
  await page.getByLabel("New password").waitFor();
  expect(await page.getByLabel("Current password").count()).toBe(0);

  await page.goto(`${url}/auth/account`);
  await page.locator("#linked li", { hasText: "Acme" }).waitFor();
  expect(await page.locator("#linked svg, #linked .pylon-logo").count()).toBe(1);
  expect(await page.getByLabel("Current password").isVisible()).toBe(false);
  await page.getByLabel(/Type delete to confirm/).waitFor();
  await checkLayout("auth-account-provider");
}, 60_000);

test("a user with only a passkey sees it, and nothing to disconnect", async () => {
  await page.goto(`${url}/account`);
  await press("Add a passkey");
  await button(/^Delete the passkey/);
  await press("Disconnect Acme");
  await button("Connect Acme");
  expect(await page.getByRole("button", { name: /^Disconnect/ }).count()).toBe(0);
  expect(await page.locator("input[type=password]").count()).toBe(0);
  await page.getByLabel('Type "delete" to confirm').waitFor();
  await checkLayout("account-passkey");

  await page.goto(`${url}/auth/account`);
  await page.locator("#passkeys li").waitFor();
  await page.getByRole("button", { name: "Connect Acme" }).waitFor();
  expect(await page.locator("#linked li").count()).toBe(0);
  expect(await page.getByLabel("Current password").isVisible()).toBe(false);

  // The account is linked again from the server's page.
  await page.getByRole("button", { name: "Connect Acme" }).click();
  await page.locator("#linked li", { hasText: "Acme" }).waitFor();
}, 60_000);

test("the menus open by key, close on Escape, and switch the organization", async () => {
  await page.goto(`${url}/home`);
  const organization = page.getByRole("button", { name: /^Organization:/ });
  await organization.focus();
  await page.keyboard.press("Enter");
  await press("Create an organization");
  await page.getByLabel("Organization name").fill("Acme Works");
  await checkLayout("organization-switcher-create");
  await press("Create");
  await page.getByRole("button", { name: "Organization: Acme Works" }).waitFor();
  const tenant = await page.evaluate(async () => {
    const answer = (await (await fetch("/api/auth/session")).json()) as {
      session: { tenant_id: string | null };
    };
    return answer.session.tenant_id;
  });
  expect(tenant).toEqual(expect.any(String));
  await organization.click();
  await page.getByRole("button", { name: "Acme Works owner" }).waitFor();
  await checkLayout("organization-switcher");
  await page.getByRole("button", { name: "Personal" }).click();
  await page.getByRole("button", { name: "Organization: Personal" }).waitFor();
  await page.getByRole("button", { name: /^Account of/ }).click();
  await checkLayout("user-button");
  await page.keyboard.press("Escape");
  expect(await page.locator(".pylon-panel:visible").count()).toBe(0);
}, 60_000);

test("a menu in a narrow part of the page that scrolls is not clipped", async () => {
  await page.goto(`${url}/home`);
  const account = page.getByRole("button", { name: /^Account of/ });
  await account.waitFor();
  await page.addStyleTag({ content: "header { width: 3rem; overflow: auto; }" });
  await account.click();
  const panel = page.locator(".pylon-panel:visible");
  const isWhole = (): Promise<boolean> =>
    panel.evaluate((element) => {
      const { left, right, top } = element.getBoundingClientRect();
      const ends = [left + 4, right - 4].map((x) => document.elementFromPoint(x, top + 20));
      return right - left > 200 && ends.every((end) => element.contains(end));
    });
  expect(await isWhole()).toBe(true);
  // The page scrolls below it, and the menu with its button.
  const distance = async (): Promise<number> =>
    ((await panel.boundingBox())?.y ?? 0) - ((await account.boundingBox())?.y ?? 0);
  const before = await distance();
  await page.addStyleTag({ content: "body { padding-top: 10rem; min-height: 200vh; }" });
  await page.evaluate(() => scrollTo(0, 50));
  await until(async () => (await distance()) === before);
  expect(await isWhole()).toBe(true);
}, 60_000);

test("the link of an invitation tells who accepts, and verifies the address", async () => {
  const ask = async (path: string, body: object, token = ""): Promise<Record<string, unknown>> => {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    return (await fetch(url + path, init)).json() as Promise<Record<string, unknown>>;
  };
  const owner = { email: `owner-${Date.now()}@example.com`, password: PASSWORD };
  const token = String((await ask("/api/auth/password/register", owner))["token"]);
  const email = `invited-${Date.now()}@example.com`;
  const { id } = await ask("/api/auth/orgs", { name: "Invited" }, token);
  const invitation = await ask(`/api/auth/orgs/${String(id)}/invites`, { email }, token);
  const link = `${url}/auth/invitation?redirect=/home#token=${String(invitation["dev_token"])}`;
  await context.clearCookies();
  await page.goto(link);
  await page.getByText("i…@example.com is invited to join Invited as member.").waitFor();
  await checkLayout("auth-invitation-offer");
  await page.goto(`${url}/auth/sign-up`);
  await page.getByLabel("Name").fill("Ben");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await press("Create the account");
  await page.waitForURL((to) => !to.pathname.startsWith("/auth"));
  await page.goto(link);
  await page.getByText(`You are signed in as ${email}.`).waitFor();
  await press("Accept");
  await page.getByText("In dev mode the code is at /studio/mail.").waitFor();
  await checkLayout("auth-invitation-verify");
  const mails = (await (await fetch(`${url}/studio/mail.json`)).json()) as readonly Mail[];
  const text = mails.filter(({ to }) => to === email).find((mail) => /\b\d{6}\b/.test(mail.text));
  await page.getByLabel("Code").fill(/\b\d{6}\b/.exec(text?.text ?? "")?.[0] ?? "");
  await press("Verify and accept");
  await page.waitForURL(`${url}/home`);
  await page.getByRole("button", { name: /^Organization:/ }).click();
  await page.getByRole("button", { name: "Invited member" }).waitFor();
}, 60_000);

test("a page may force the dark theme, and set the colours", async () => {
  await page.goto(`${url}/auth/sign-in`);
  await page.emulateMedia({ colorScheme: "light" });
  const field = page.locator("#password-password");
  const colour = (): Promise<string> =>
    field.evaluate((input) => getComputedStyle(input).backgroundColor);
  const light = await colour();
  await page.evaluate(() => (document.documentElement.dataset["pylonTheme"] = "dark"));
  await page.evaluate(() => (document.body.style.colorScheme = "inherit"));
  expect(await colour()).not.toBe(light);
  await page.evaluate(() => document.body.style.setProperty("--pylon-accent", "rgb(120, 0, 90)"));
  expect(
    await page
      .getByRole("button", { name: "Sign in", exact: true })
      .evaluate((element) => getComputedStyle(element).backgroundColor),
  ).toBe("rgb(120, 0, 90)");
}, 60_000);
