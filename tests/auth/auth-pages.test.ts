import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { type Browser, type BrowserContext, type Locator, type Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, until } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { freePort } from "../support/servers/free-port.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const PASSWORD = "correct horse battery";
const entities = [
  entity("User", {
    email: field.string().unique(),
    displayName: field.string(),
    emailVerified: field.bool().default(false),
  }),
];
const policies = [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })];
/** The folder of the screenshots. SCREENSHOTS names one that is kept, to look at them. */
const shots = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "pylon-shots-"));

let mail: MailServer;
let server: TestServer;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let url: string;

beforeAll(async () => {
  mail = await startMailServer();
  const port = await freePort();
  url = `http://localhost:${port}`;
  server = await startServer(
    appOf(buildManifest({ name: "Notes", version: "1.0.0", entities, policies })),
    {
      PYLON_PORT: String(port),
      PYLON_SINGLE_PORT: "1",
      PYLON_PUBLIC_URL: url,
      PYLON_SMTP_URL: mail.url,
      PYLON_EMAIL_FROM: "notes@example.com",
      PYLON_COOKIE_SECURE: "0",
    },
  );
  browser = await launchBrowser();
  context = await browser.newContext({ viewport: { width: 800, height: 700 } });
  page = await context.newPage();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await mail.stop();
});

const says = (text: RegExp): Promise<void> =>
  until(async () => text.test((await page.getByRole("status").textContent()) ?? ""));
const codeTo = async (email: string, count = 1): Promise<string> =>
  /\d{6}/.exec((await mail.to(email, count)).text)?.[0] ?? "";
/** Only the visible field: the pages also contain the hidden fields of later steps. */
const labelled = (label: string): Locator =>
  page.getByLabel(label, { exact: true }).locator("visible=true");
const whoAmI = (): Promise<unknown> =>
  page.evaluate(
    async () => ((await (await fetch("/api/auth/session")).json()) as { user: unknown }).user,
  );

async function signIn(email: string, password: string): Promise<void> {
  await page.goto(`${url}/auth/sign-in?redirect=/health`);
  await labelled("E-mail").fill(email);
  await labelled("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Tries a weak password first. */
async function signUp(email: string): Promise<void> {
  await page.goto(`${url}/auth/sign-up?redirect=/auth/account`);
  await labelled("Name").fill("Ann");
  await labelled("E-mail").fill(email);
  await labelled("Password").fill("password123");
  await page.getByRole("button", { name: "Create the account" }).click();
  await says(/too common/);
  expect(await labelled("Password").getAttribute("aria-invalid")).toBe("true");
  await labelled("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create the account" }).click();
  await says(/sent a code/);
  await labelled("Code").fill(await codeTo(email));
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.waitForURL(`${url}/auth/account`);
  await page.getByText(email).waitFor();
  expect(await whoAmI()).toMatchObject({ email, displayName: "Ann", emailVerified: true });
}

/** Signs out another device, and then this one. */
async function signDevicesOut(email: string): Promise<void> {
  const { body } = await new TestClient(server.url, null).request(
    "POST",
    "/api/auth/password/login",
    { email, password: PASSWORD },
    { "User-Agent": "Mozilla/5.0 (iPhone) Safari/1" },
  );
  await page.goto(`${url}/auth/account?redirect=/health`);
  await page.screenshot({ path: join(shots, "account.png"), fullPage: true });
  // Tells password managers to which account the passwords belong.
  expect(
    await page
      .locator("input[autocomplete=username]")
      .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value)),
  ).toEqual([email, email]);
  expect(await page.getByRole("link", { name: "Back to Notes" }).getAttribute("href")).toBe(
    `${url}/health`,
  );
  await page.getByRole("button", { name: "Sign out Safari on iPhone" }).click();
  await until(async () => (await page.getByRole("listitem").count()) === 1);
  expect(
    (await new TestClient(server.url, body["token"] as string).request("GET", "/api/auth/session"))
      .status,
  ).toBe(401);
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL(`${url}/auth/sign-in`);
  expect(await whoAmI()).toBeNull();
}

async function resetPassword(email: string, password: string): Promise<void> {
  await page.goto(`${url}/auth/forgot`);
  await labelled("E-mail").fill(email);
  await page.getByRole("button", { name: "Send me a link" }).click();
  await says(/we sent a link/);
  await page.goto(
    /http:\S+/.exec((await mail.to(email, 2)).text)?.[0]?.replace(/^http:\/\/[^/]+/, url) ?? "",
  );
  expect(page.url()).not.toContain("token");
  await labelled("Password").fill(password);
  await page.getByRole("button", { name: "Change the password" }).click();
  await says(/was changed/);
}

test("a user signs up, out and in, resets the password, and signs a device out", async () => {
  const email = "ann@example.com";
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on(
    "console",
    (line) => void (/Content Security Policy/.test(line.text()) && errors.push(line.text())),
  );

  await signUp(email);
  await signDevicesOut(email);

  await signIn(email, "a wrong one");
  await says(/wrong/);
  await page.screenshot({ path: join(shots, "sign-in-error.png") });
  await signIn(email, PASSWORD);
  await page.waitForURL(`${url}/health`);

  await resetPassword(email, "another long one");
  await signIn(email, "another long one");
  await page.waitForURL(`${url}/health`);
  expect(errors).toEqual([]);
}, 60_000);

test("an emailed code signs in", async () => {
  const email = "ben@example.com";
  await context.clearCookies();
  await page.goto(`${url}/auth/sign-in?redirect=/health`);
  await labelled("E-mail").fill(email);
  await page.getByRole("button", { name: "Use an emailed code" }).click();
  expect(await labelled("E-mail").inputValue()).toBe(email);
  await page.getByRole("button", { name: "Send me a code" }).click();
  await says(/sent a code/);
  await labelled("Code").fill(await codeTo(email));
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(`${url}/health`);
  await until(
    async () =>
      ((await whoAmI().catch(() => null)) as { readonly email: string } | null)?.email === email,
  );
}, 60_000);

test("an unreachable server is reported, keeps the session, and can be retried", async () => {
  await page.goto(`${url}/auth/account`);
  await page.locator("#who").filter({ hasText: "ben@example.com" }).waitFor();
  await page.route("**/api/auth/**", (route) => route.abort());
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await says(/The server can't be reached. Try again./);
  expect(new URL(page.url()).pathname).toBe("/auth/account");
  await page.unroute("**/api/auth/**");
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL(`${url}/auth/sign-in`);
  await page.goto(`${url}/auth/sign-in?redirect=/health`);
  await page.route("**/api/auth/**", (route) => route.abort());
  await page.getByLabel("E-mail").first().fill("nobody@example.com");
  await page.locator("input[type=password]").first().fill("whatever it is");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page
    .getByRole("status")
    .filter({ hasText: "The server can't be reached. Try again." })
    .waitFor();
  await page.unroute("**/api/auth/**");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("status").filter({ hasText: "wrong" }).waitFor();
});

test("a page does not show text from the link that leads to it", async () => {
  for (const [code, words] of [
    ["OAUTH_DENIED", "You did not allow it there"],
    ["ANYTHING", "This sign-in did not work."],
  ]) {
    await page.goto(
      `${url}/auth/sign-in?oauth_error=${code}&oauth_error_message=Call%20555-0100%20to%20unlock.`,
    );
    await page.getByRole("status").filter({ hasText: words }).waitFor();
    expect(await page.locator("body").textContent()).not.toContain("555-0100");
  }
});

test("T10: the page redirects only to targets that the app trusts", async () => {
  const host = new URL(server.url).host;
  const evil = [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "https:evil.example",
    `http://${host}@evil.example`,
    `http://${host}.evil.example`,
    "javascript:alert(1)",
    "/\t/evil.example",
    "data:text/html,x",
  ];
  for (const target of evil) {
    const response = await fetch(
      `${server.url}/auth/sign-in?redirect=${encodeURIComponent(target)}`,
    );
    expect([target, response.status]).toEqual([target, 400]);
  }
  const fine = await fetch(
    `${server.url}/auth/sign-in?redirect=${encodeURIComponent('/a"><script>')}`,
  );
  expect(await fine.text()).not.toContain("<script>");
});

test("has no horizontal overflow in light and dark, wide and narrow", async () => {
  await context.clearCookies();
  for (const [scheme, width] of [
    ["light", 800],
    ["dark", 800],
    ["light", 375],
  ] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 700 });
    await page.goto(`${url}/auth/sign-in`);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
    );
    expect(overflow).toBe(false);
    await page.screenshot({ path: join(shots, `sign-in-${scheme}-${width}.png`) });
  }
}, 60_000);

test("an app with its own pages has none of the built-in ones", async () => {
  const own = await startServer(
    appOf(
      buildManifest({ name: "own", version: "1.0.0", entities, policies, auth: { pages: false } }),
    ),
  );
  try {
    expect((await fetch(`${own.url}/auth/sign-in`)).status).toBe(404);
  } finally {
    await own.stop();
  }
});

test("an app without users has no account pages, and the response says why", async () => {
  const own = await startServer(
    appOf(
      buildManifest({
        name: "plain",
        version: "1.0.0",
        access: "public",
        entities: [entity("Item", { name: field.string() })],
      }),
    ),
  );
  try {
    for (const path of [
      "/auth/sign-in",
      "/auth/sign-up",
      "/auth/account",
      "/auth/assets/auth.js",
    ]) {
      const { status, text } = await new TestClient(own.url, null).request("GET", path);
      expect([path, status]).toEqual([path, 404]);
      expect(text).toContain("This app has no user entity.");
    }
  } finally {
    await own.stop();
  }
});
