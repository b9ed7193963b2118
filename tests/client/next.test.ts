import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { until } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

const EXAMPLE = join(import.meta.dir, "..", "..", "examples", "next-notes");
const NEXT = join(import.meta.dir, "..", "..", "node_modules", "next", "dist", "bin", "next");
const PASSWORD = "correct horse battery";
/** The folder of the screenshots. Set SCREENSHOTS to choose a folder that is kept. */
const shots = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "pylon-shots-"));
const files = mkdtempSync(join(tmpdir(), "pylon-next-"));

let mail: MailServer;
let server: TestServer;
let next: Bun.Subprocess;
let browser: Browser;
let url: string;
const problems: string[] = [];

beforeAll(async () => {
  mail = await startMailServer();
  const port = await freePort();
  url = `http://localhost:${port}`;
  server = await startServer(await loadApp(join(EXAMPLE, "pylon"), { dev: false }), {
    PYLON_PUBLIC_URL: url,
    PYLON_CORS_ORIGIN: url,
    PYLON_COOKIE_SECURE: "0",
    PYLON_SINGLE_PORT: "1",
    PYLON_FILES_DIR: files,
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "notes@example.com",
    PYLON_TRUST_PROXY_HOPS: "1",
  });
  const env = {
    ...process.env,
    NODE_ENV: "production",
    NEXT_TELEMETRY_DISABLED: "1",
    PYLON_URL: server.url,
    PYLON_COOKIE_NAME: "notes_session",
    PYLON_SOCKET_URL: `${server.url.replace("http://127.0.0.1", "ws://localhost")}/ws`,
  };
  const build = Bun.spawn(["node", NEXT, "build"], {
    cwd: EXAMPLE,
    env,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([
    new Response(build.stdout).text(),
    new Response(build.stderr).text(),
  ]);
  if ((await build.exited) !== 0) throw new Error(`next build failed: ${output}${errors}`);
  next = Bun.spawn(["node", NEXT, "start", "--port", String(port), "--hostname", "localhost"], {
    cwd: EXAMPLE,
    env,
    stdout: "ignore",
    stderr: "inherit",
  });
  browser = await launchBrowser();
  await until(
    () =>
      fetch(url).then(
        ({ ok }) => ok,
        () => false,
      ),
    30_000,
  );
}, 180_000);

afterAll(async () => {
  await browser?.close();
  next?.kill();
  await next?.exited;
  await server?.stop();
  await mail?.stop();
  rmSync(files, { recursive: true, force: true });
});

async function person(): Promise<{ readonly context: BrowserContext; readonly page: Page }> {
  const context = await browser.newContext({ viewport: { width: 800, height: 700 } });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  page.on(
    "console",
    (line) =>
      void (
        line.type() === "error" &&
        !/Failed to load resource|net::ERR|WebSocket/.test(line.text()) &&
        problems.push(line.text())
      ),
  );
  return { context, page };
}

async function signUp(page: Page, email: string): Promise<void> {
  await page.goto(`${url}/sign-up`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create the account" }).click();
  await page.getByLabel("Code").fill(/\d{6}/.exec((await mail.to(email)).text)?.[0] ?? "");
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.waitForURL(`${url}/notes`);
}

async function signIn(page: Page, email: string): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

async function live(page: Page): Promise<void> {
  await page.locator("[data-connection=live]").waitFor({ state: "attached" });
}

async function add(page: Page, text: string): Promise<void> {
  await page.getByLabel("New note").fill(text);
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByRole("listitem").filter({ hasText: text }).waitFor();
}

const cookieOf = async (context: BrowserContext): Promise<string> =>
  (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");

const notesFor = (cookie: string): Promise<Response> =>
  fetch(`${url}/notes`, { redirect: "manual", headers: { Cookie: cookie } });

/** Checks the HTML that the server renders, before any script has run. */
async function expectOwnPage(cookie: string, session: string): Promise<void> {
  await until(async () =>
    (await (await notesFor(cookie)).text()).includes("<li>a note of Ann</li>"),
  );
  const html = await (await notesFor(cookie)).text();
  // React marks adjacent texts with a comment.
  expect(html.replaceAll("<!-- -->", "")).toContain("Notes of ann@example.com");
  expect(html).not.toContain("the secret of Ben");
  expect(html).not.toContain(session);
  // The first render has the session.
  expect(html).toContain('aria-label="Account of');
  // A function is called as the caller.
  expect(await (await fetch(url, { headers: { Cookie: cookie } })).text()).toContain(
    "Read your notes: 1",
  );
}

/** The proxy redirects to the sign-in page, and the page itself checks the session too. */
async function expectGuard(): Promise<void> {
  const { page, context } = await person();
  await page.goto(`${url}/account?tab=1`);
  expect(new URL(page.url()).pathname).toBe("/sign-in");
  expect(new URL(page.url()).searchParams.get("next")).toBe("/account?tab=1");
  await page.screenshot({ path: join(shots, "next-sign-in.png") });
  await signIn(page, "ann@example.com");
  await page.waitForURL(`${url}/account?tab=1`);
  await page.getByRole("heading", { name: "Devices" }).waitFor();
  await page.getByText("(this one)").waitFor();
  await page.screenshot({ path: join(shots, "next-account.png"), fullPage: true });
  const madeUp = await notesFor("notes_session=made-up");
  expect(madeUp.status).toBe(307);
  expect(madeUp.headers.get("location")).toBe("/auth/sign-in?next=%2Fnotes");
  await context.close();
}

/** A sign-out in one tab signs out the other, on this server and on Pylon's. */
async function expectSignOut(page: Page, other: Page, cookie: string): Promise<void> {
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.screenshot({ path: join(shots, "next-user-menu.png") });
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${url}/`);
  await other.getByRole("button", { name: /^Account of/ }).waitFor({ state: "detached" });
  expect((await notesFor(cookie)).status).toBe(307);
  for (const at of [url, server.url]) {
    const me = await fetch(`${at}/api/auth/me`, { headers: { Cookie: cookie } });
    expect(((await me.json()) as { user_id: unknown }).user_id).toBeNull();
  }
}

test("a page requires a sign-in, returns to its target, and shows the user's rows", async () => {
  const [ann, ben] = [await person(), await person()];
  await signUp(ben.page, "ben@example.com");
  await live(ben.page);
  await add(ben.page, "the secret of Ben");

  await signUp(ann.page, "ann@example.com");
  await live(ann.page);
  await add(ann.page, "a note of Ann");
  const stored = await ann.page.evaluate(() => JSON.stringify(localStorage));
  const [session] = (await ann.context.cookies()).filter(({ name }) => name === "notes_session");
  expect(session).toMatchObject({ httpOnly: true, sameSite: "Lax" });
  expect(stored).not.toContain(session?.value ?? "");
  await expectOwnPage(await cookieOf(ann.context), session?.value ?? "");

  const other = await ann.context.newPage();
  await other.goto(`${url}/notes`);
  await live(other);
  await add(other, "from another tab");
  await ann.page.getByRole("listitem").filter({ hasText: "from another tab" }).waitFor();
  await ann.page.screenshot({ path: join(shots, "next-notes.png") });
  expect(await ben.page.getByText("Ann").count()).toBe(0);

  await expectGuard();
  await expectSignOut(ann.page, other, await cookieOf(ann.context));
  await Promise.all([ann, ben].map(({ context }) => context.close()));
}, 120_000);

test("a long address and a long word fit on a small phone", async () => {
  const { page } = await person();
  await page.setViewportSize({ width: 320, height: 640 });
  await signUp(
    page,
    "a.person.with.a.very.long.name.indeed@mail.of.a.very.long.domain.example.com",
  );
  await live(page);
  await add(
    page,
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
  );
  await page.screenshot({ path: join(shots, "next-notes-narrow.png") });
  const overflow = (): Promise<number> =>
    page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
  expect(await overflow()).toBe(0);
  await page.getByRole("button", { name: /Account of/ }).click();
  await page.getByText("Sign out").waitFor();
  expect(await overflow()).toBe(0);
  await page.context().close();
});

test("T10: a sign-in does not redirect to other sites", async () => {
  const { page, context } = await person();
  for (const evil of [
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "/..//evil.example",
    "javascript:alert(1)",
  ]) {
    await context.clearCookies();
    await page.goto(`${url}/sign-in?next=${encodeURIComponent(evil)}`);
    await signIn(page, "ben@example.com");
    await page.waitForURL((at) => at.pathname !== "/sign-in");
    expect([evil, new URL(page.url()).origin]).toEqual([evil, url]);
  }
  // The pages of the Pylon server, which are on this origin too.
  expect(
    (await fetch(`${url}/auth/sign-in?next=${encodeURIComponent("https://evil.example/")}`)).status,
  ).toBe(400);
  await context.clearCookies();
  await page.goto(`${url}/auth/sign-in?next=/account`);
  await page.getByLabel("E-mail").locator("visible=true").fill("ben@example.com");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(`${url}/account`);
  await context.close();
}, 60_000);

describe("the handler", () => {
  let context: BrowserContext;
  let page: Page;
  let cookie: string;
  beforeAll(async () => {
    ({ context, page } = await person());
    await page.goto(`${url}/sign-in`);
    await signIn(page, "ben@example.com");
    await page.waitForURL(`${url}/notes`);
    cookie = await cookieOf(context);
  });
  afterAll(() => context.close());

  test("streams a function's response", async () => {
    const streamed = await page.evaluate(async () => {
      const response = await fetch("/api/fn/readAloud", {
        method: "POST",
        headers: { Accept: "text/event-stream", "Content-Type": "application/json" },
        body: "{}",
      });
      const chunks: string[] = [];
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (let chunk = await reader?.read(); chunk?.done === false; chunk = await reader?.read())
        chunks.push(chunk.value);
      return { type: response.headers.get("content-type"), chunks };
    });
    expect(streamed.type).toContain("text/event-stream");
    // The first chunk has arrived before the end was written.
    expect(streamed.chunks[0]).toContain("data: the secret of Ben");
    expect(streamed.chunks[0]).not.toContain("event: result");
    expect(streamed.chunks.join("")).toContain("event: result");
  }, 60_000);

  test("streams uploads and downloads", async () => {
    const size = 32 * 1024 * 1024;
    const uploaded = await page.evaluate(async (bytes) => {
      const response = await fetch("/api/files/upload", {
        method: "POST",
        headers: { "Content-Type": "application/octet-stream", "X-Filename": "big.bin" },
        body: new Uint8Array(bytes).fill(7),
      });
      return {
        status: response.status,
        body: (await response.json()) as { id: string; size: number },
      };
    }, size);
    expect(uploaded).toMatchObject({ status: 201, body: { size } });
    const back = await fetch(`${url}/api/files/${uploaded.body.id}`, {
      headers: { Cookie: cookie, Range: "bytes=0-1" },
    });
    expect([back.status, back.headers.get("content-range")]).toEqual([206, `bytes 0-1/${size}`]);
  }, 60_000);

  test("forwards Origin, so that a write from a foreign page is rejected", async () => {
    const foreign = await fetch(`${url}/api/entities/Note`, {
      method: "POST",
      headers: { Cookie: cookie, Origin: "https://evil.example" },
      body: JSON.stringify({ text: "forged" }),
    });
    expect([
      foreign.status,
      ((await foreign.json()) as { error: { code: string } }).error.code,
    ]).toEqual([403, "CSRF_REJECTED"]);
  });

  test("proxies only the API", async () => {
    for (const path of [
      "/api/%2e%2e/metrics",
      "/api/..%2f..%2fmetrics",
      "/api/x%5c..%5c",
      "/api//evil.example",
    ])
      expect([
        path,
        (await fetch(url + path, { redirect: "manual", headers: { Cookie: cookie } })).status ===
          200,
      ]).toEqual([path, false]);
  });

  // The last one, because it ends the session.
  test("forwards cookies, and no hop-by-hop header", async () => {
    const out = await fetch(`${url}/api/auth/session`, {
      method: "DELETE",
      headers: { Cookie: cookie, Origin: url },
    });
    expect(out.headers.getSetCookie()[0]).toMatch(
      /^notes_session=; Max-Age=0; Path=\/; HttpOnly; SameSite=Lax$/,
    );
    expect(out.headers.get("connection")).not.toBe("upgrade");
  });
});

test("the browser reports no errors, and no hydration mismatch", () => {
  expect(problems).toEqual([]);
});
