import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createServer, loadConfig, type PylonServer } from "@pylonsync/server";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { OIDC_CLIENT, startOidcProvider, type OidcServer } from "../support/oidc-provider.ts";
import { appOf } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

// Apple's page posts the code to the server from another site. A browser sends no Lax cookies with
// that request: neither the session's nor the one that binds other sign-ins to the browser.

let oidc: OidcServer;
let server: PylonServer;
let browser: Browser;
/** A different site than the provider's, which is on `localhost`. */
let url: string;

beforeAll(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  oidc = await startOidcProvider(`${url}/api/auth/callback/apple`, { isLikeApple: true });
  const { issuer } = oidc;
  const env = {
    PYLON_DEV_MODE: "1",
    PYLON_HOST: "127.0.0.1",
    PYLON_PORT: String(port),
    PYLON_SINGLE_PORT: "1",
    PYLON_IN_MEMORY: "1",
    PYLON_LOG_LEVEL: "error",
    PYLON_PUBLIC_URL: url,
    PYLON_OAUTH_APPLE_CLIENT_ID: OIDC_CLIENT.id,
    PYLON_OAUTH_APPLE_CLIENT_SECRET: OIDC_CLIENT.secret,
  };
  const app = appOf(
    buildManifest({
      name: "shop",
      version: "1.0.0",
      entities: [
        entity("User", {
          email: field.string().unique(),
          emailVerified: field.bool().default(false),
        }),
      ],
      policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
    }),
  );
  server = createServer({
    app,
    config: loadConfig(env),
    env,
    oauthEndpoints: {
      apple: {
        authorization: `${issuer}/auth`,
        token: `${issuer}/token`,
        issuer,
        jwks: `${issuer}/jwks`,
      },
    },
  });
  await server.start();
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await oidc.stop();
});

/** Signs in at the provider, up to its page that posts the form. */
async function agree(page: Page, login: string): Promise<void> {
  await page.goto(
    `${url}/api/auth/login/apple?redirect=1&callback=/health&error_callback=/auth/sign-in`,
  );
  await page.locator("[name=login]").fill(login);
  await page.locator("[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.getByRole("button", { name: "Continue" }).click();
}

const whoAmI = async (page: Page): Promise<unknown> =>
  ((await (await page.request.get(`${url}/api/auth/session`)).json()) as { user: unknown }).user;

test("a provider's page that posts the code signs in the browser that started", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const posts: string[] = [];
  page.on(
    "request",
    (request) =>
      void (
        request.method() === "POST" &&
        request.url().startsWith(url) &&
        posts.push(request.headers()["origin"] ?? "")
      ),
  );
  await agree(page, "ann");
  await page.waitForURL(`${url}/health`);
  // The request came from a page of another site.
  expect(posts).toEqual([new URL(oidc.issuer).origin]);
  expect(await whoAmI(page)).toMatchObject({ email: "ann@example.com", emailVerified: true });
  const bound = (await context.cookies()).find(({ name }) => name.endsWith("pylon_oauth_form"));
  expect(bound).toMatchObject({ httpOnly: true, secure: true, sameSite: "None" });
  await context.close();
}, 60_000);

test("T19: the form of another user's sign-in can't sign in another browser", async () => {
  const [attacker, victim] = [await browser.newContext(), await browser.newContext()];
  const page = await attacker.newPage();
  let form: string | null = null;
  await page.route(`${url}/api/auth/callback/apple`, async (route) => {
    form = route.request().postData();
    await route.abort();
  });
  await agree(page, "mallory");
  while (form === null) await Bun.sleep(10);
  const target = await victim.newPage();
  // The victim has started a sign-in too, so it has a cookie, but for another sign-in.
  await target.goto(`${url}/api/auth/login/apple?redirect=1&callback=/health`);
  const fields = [...new URLSearchParams(form)]
    .map(
      ([name, value]) =>
        `<input type=hidden name="${name}" value="${value.replaceAll('"', "&quot;")}">`,
    )
    .join("");
  await target.setContent(
    `<form method=post action="${url}/api/auth/callback/apple">${fields}<button>go</button></form>`,
  );
  const [response] = await Promise.all([
    target.waitForResponse(`${url}/api/auth/callback/apple`),
    target.getByRole("button").click(),
  ]);
  expect([response.status(), await response.text()]).toEqual([
    400,
    expect.stringContaining("INVALID_STATE") as never,
  ]);
  expect(await whoAmI(target)).toBeNull();
  await Promise.all([attacker.close(), victim.close()]);
}, 60_000);
