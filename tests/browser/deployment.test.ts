import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
// Imports the types of the page's globals.
import type {} from "../support/replica-app/web/main.tsx";
import { TestClient, until } from "../support/client.ts";
import { startServer, type TestServer } from "../support/server.ts";

// A page stays open while a newer version of the app is deployed, whose server has other files.

let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  const app = await loadApp(join(import.meta.dir, "..", "support", "replica-app"), { dev: false });
  server = await startServer(app, { PYLON_SINGLE_PORT: "1" });
  browser = await launchBrowser("--disable-gpu", "--disable-features=LocalNetworkAccessChecks");
}, 60_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
});

interface OpenPage {
  readonly page: Page;
  /** The errors that no code of the page has caught. */
  readonly uncaught: readonly string[];
  /** The scripts that were loaded. */
  readonly scripts: readonly string[];
  /** The requested scripts that the newer server did not have. */
  readonly missed: readonly string[];
  /** From this call on, the server has none of the page's files, or only these are missing. */
  readonly deploy: (isGone?: (script: string) => boolean) => void;
  /** From this call on, it has all of them. */
  readonly restore: () => void;
  readonly close: () => Promise<void>;
}

/** @param isGone whether the server does not have a script with this text from the beginning */
async function open(
  path: string,
  isGone: (script: string) => boolean = () => false,
): Promise<OpenPage> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const [uncaught, scripts, missed]: [string[], string[], string[]] = [[], [], []];
  let isMissing = isGone;
  page.on("pageerror", (error) => uncaught.push(String(error)));
  await page.route(/\.js$/, async (route) => {
    const response = await route.fetch();
    const text = await response.text();
    if (isMissing(text)) {
      missed.push(route.request().url());
      return route.fulfill({ status: 404, body: "There is nothing here." });
    }
    scripts.push(text);
    return route.fulfill({ response });
  });
  await page.goto(new URL(path, server.url).href);
  const deploy: OpenPage["deploy"] = (isMissingNow = () => true) => void (isMissing = isMissingNow);
  const restore = (): void => void (isMissing = () => false);
  const close = async (): Promise<void> => {
    // A script may still be on its way.
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await context.close();
  };
  return { page, uncaught, scripts, missed, deploy, restore, close };
}

const live = (page: Page): Promise<void> =>
  page.locator("#status").filter({ hasText: "live" }).waitFor();

async function signIn(page: Page): Promise<TestClient> {
  const { token, userId } = await page.evaluate(() => window.db.signInAsGuest());
  await page
    .locator("#user")
    .filter({ hasText: new RegExp(userId) })
    .waitFor();
  await live(page);
  return new TestClient(server.url, token, userId);
}

/** Only the code of connections without a socket contains this path. */
const isRarelyUsed = (script: string): boolean => script.includes("/api/live/");

/** Only the code that receives responses contains this text. */
const isNetworking = (script: string): boolean => script.includes("The server did not answer.");

const isOnServer = async (client: TestClient, title: string): Promise<boolean> =>
  (await client.request("POST", "/api/query/Todo", {})).text.includes(title);

/** Waits until the page knows that code is missing. */
const outdated = (page: Page): Promise<void> =>
  page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (window.db.sync.status.outdated) resolve();
        };
        window.db.sync.onStatus(look);
        look();
      }),
  );

/** Inserts a row, and checks that it is shown. */
async function writes(page: Page, title: string): Promise<void> {
  await page.evaluate((text) => window.db.insert("Todo", { title: text }), title);
  await page.locator("#rows").filter({ hasText: title }).waitFor();
}

test.each(["/", "/?queries"])(
  "a page (%s) has loaded all code it may need before a deployment removes it",
  async (path) => {
    const { page, uncaught, scripts, missed, deploy, close } = await open(path);
    const client = await signIn(page);
    await until(() => scripts.some(isRarelyUsed));
    deploy();
    await page.evaluate(() => {
      window.db.sync.stop();
      Reflect.set(window, "WebSocket", undefined);
      window.db.sync.start();
    });
    await live(page);
    await writes(page, "over a stream");
    await until(() => isOnServer(client, "over a stream"));
    expect(await page.evaluate(() => window.db.sync.status)).toMatchObject({
      transport: "sse",
      outdated: false,
    });
    expect([uncaught, missed]).toEqual([[], []]);
    await close();
  },
  60_000,
);

test.each(["/", "/?queries"])(
  "a page (%s) that a deployment overtakes shows rows, and keeps writes until it is reloaded",
  async (path) => {
    const { page, uncaught, missed, restore, close } = await open(path, isRarelyUsed);
    const client = await signIn(page);
    await outdated(page);
    expect(missed.length).toBeGreaterThan(0);
    await client.request("POST", "/api/entities/Todo", { title: "from another device" });
    await page.locator("#rows").filter({ hasText: "from another device" }).waitFor();
    await writes(page, "after the deployment");
    expect(await page.evaluate(() => window.db.sync.status)).toMatchObject({
      connection: "live",
      transport: "websocket",
      outdated: true,
      pending: 1,
    });
    restore();
    await page.reload();
    await until(() => isOnServer(client, "after the deployment"));
    expect(uncaught).toEqual([]);
    await close();
  },
  60_000,
);

test.each(["/", "/?queries"])(
  "a page (%s) without its networking code keeps writes, and reports what it can't reach",
  async (path) => {
    const { page, uncaught, missed, deploy, restore, close } = await open(path);
    const client = await signIn(page);
    deploy(isNetworking);
    await page.reload();
    await outdated(page);
    expect(missed.length).toBeGreaterThan(0);
    const refused = await page.evaluate(() =>
      window.db.sync.request("GET", "/api/auth/me").then(
        () => "",
        (error: unknown) => String(Reflect.get(Object(error), "code")),
      ),
    );
    expect(refused).toBe("UNREACHABLE");
    await writes(page, "without a network");
    expect(await page.evaluate(() => window.db.sync.status)).toMatchObject({
      connection: "offline",
      outdated: true,
      pending: 1,
    });
    restore();
    await page.reload();
    await until(() => isOnServer(client, "without a network"));
    expect(uncaught).toEqual([]);
    await close();
  },
  60_000,
);
