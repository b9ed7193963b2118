import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { mcp } from "@pylonsync/sdk/plugins";
import type { Browser } from "playwright-core";
import { accessibilityProblems } from "../support/accessibility.ts";
import { launchBrowser } from "../support/browser.ts";
import { begin, signUp, TestProvider, transportTo } from "../support/mcp-client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "Consent",
    version: "1.0.0",
    entities: [
      entity("User", { email: field.string().unique(), passwordHash: field.string().hidden() }),
    ],
    policies: [policy({ name: "own", entity: "User", allow: "auth.userId == data.id" })],
    plugins: [mcp({ entities: { User: ["read"] } })],
  }),
);

let server: TestServer;
let browser: Browser;
beforeAll(async () => {
  server = await startServer(app, { PYLON_DEV_MODE: "1", PYLON_HOST: "localhost" });
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

test("a user signs in, allows a client, and is redirected to it with a code", async () => {
  const { url } = server;
  await signUp(url, "ann@example.com");
  const returned = Promise.withResolvers<URL>();
  using callback = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url: at }) => {
      if (at.includes("/callback")) returned.resolve(new URL(at));
      return new Response("Connected.");
    },
  });
  const provider = new TestProvider(`http://127.0.0.1:${callback.port}/callback`);
  expect(await begin(url, provider)).toBe(false);

  const page = await (await browser.newContext()).newPage();
  const refused: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") refused.push(message.text());
  });
  await page.goto(provider.authorizationUrl?.href ?? "");
  await page.fill("#password-e-mail", "ann@example.com");
  await page.fill("#password-password", "a long enough passw0rd");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(/\/auth\/authorize\?/);
  expect(await page.textContent("h1")).toBe("Give access to Test agent?");
  expect(await accessibilityProblems(page)).toEqual([]);
  await page.getByRole("button", { name: "Allow" }).click();
  const back = await returned.promise;
  expect(refused).toEqual([]);
  expect(back.searchParams.get("state")).toBe("the-state");

  await transportTo(url, provider).finishAuth(back.searchParams.get("code") ?? "");
  expect(await begin(url, provider)).toBe(true);
});
