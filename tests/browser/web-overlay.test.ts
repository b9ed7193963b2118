import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import {
  noteApp,
  PylonProcess,
  queryOf,
  TempFolder,
} from "../../packages/cli/src/testing/pylon-process.ts";
import { launchBrowser } from "../support/browser.ts";
import { freePort } from "../support/servers/free-port.ts";

const FILES = {
  "app.ts": noteApp("text: field.string()"),
  "web/index.html":
    '<!doctype html><html><head><title>Fine</title><link rel="stylesheet" ' +
    'href="./page.css"></head><body><script type="module" ' +
    'src="./main.tsx"></script></body></html>\n',
  "web/page.css": "body { color: navy; }\n",
  "web/main.tsx": `import { greeting } from "./parts/greeting.ts";
import { shared } from "../lib/shared.ts";

document.body.textContent = greeting + shared;
`,
  "web/parts/greeting.ts": `export const greeting: string = "hello ";\n`,
  "lib/shared.ts": `export const shared: string = "world";\n`,
};

/**
 * The mistakes: the file, its text (null: it is deleted), and the expected location of the error.
 */
const MISTAKES: Readonly<Record<string, readonly [string, string | null, string]>> = {
  "syntax error": [
    "web/main.tsx",
    `${FILES["web/main.tsx"]}\n// <script>alert("<img src=x>")</script>\nconst a = (;\n`,
    "web/main.tsx:7:12",
  ],
  "syntax error in a style": ["web/page.css", "body { color: navy; }} @import", "web/page.css:1"],
  "missing package": ["web/main.tsx", `import "no-such-package";\n`, "web/main.tsx:1:8"],
  "missing file": ["web/main.tsx", `import "./no-such-file.ts";\n`, "web/main.tsx:1:8"],
  "missing export": ["web/parts/greeting.ts", "export const other = 1;\n", "web/main.tsx:1:10"],
  "broken file outside of web/": ["lib/shared.ts", "export const shared = (;\n", "lib/shared.ts:1"],
  "deleted helper": ["web/parts/greeting.ts", null, "web/main.tsx:1"],
  "deleted entry": ["web/main.tsx", null, "web/index.html"],
};

/** The folder of the screenshots. Set SCREENSHOTS to choose a folder that is kept. */
const shots = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "pylon-shots-"));

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());

test("S9: a broken page shows file, line, column and code, and recovers by itself", async () => {
  using folder = new TempFolder();
  folder.write(FILES);
  await using dev = new PylonProcess(["dev", "--port", "0"], folder.path);
  const { port } = await dev.event();
  const context = await browser.newContext({ viewport: { width: 900, height: 640 } });
  const page = await context.newPage();
  await page.goto(`http://localhost:${String(port)}/`);
  const isFine = (): Promise<unknown> =>
    page.waitForFunction(() => document.body.textContent?.includes("hello world"));
  await isFine();
  for (const [mistake, [file, text, place]] of Object.entries(MISTAKES)) {
    if (text === null) rmSync(join(folder.path, file));
    else folder.write({ [file]: text });
    await page.waitForSelector("main .place");
    expect([mistake, await page.textContent(".place")]).toEqual([
      mistake,
      expect.stringContaining(place),
    ]);
    if (mistake === "syntax error") {
      expect(await page.textContent("pre")).toContain(`alert("<img src=x>")`);
      expect(await page.locator("pre img, pre script").count()).toBe(0);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(shots, `overlay-${colorScheme}.png`) });
      }
    }
    folder.write({ [file]: FILES[file as keyof typeof FILES] });
    await isFine();
  }
  await context.close();
  await dev.end();
  const log = await dev.stderr;
  for (const [, , place] of Object.values(MISTAKES)) expect(log).toContain(place);
}, 60_000);

test("S9: a path below the page and its scripts show the error too", async () => {
  using folder = new TempFolder();
  folder.write({ ...FILES, "web/main.tsx": "const a = (;\n" });
  await using dev = new PylonProcess(["dev", "--port", "0"], folder.path);
  const { port } = await dev.event();
  const url = `http://localhost:${String(port)}`;
  const inside = await fetch(`${url}/settings/profile`, { headers: { Accept: "text/html" } });
  expect([inside.status, inside.headers.get("content-type")]).toEqual([
    500,
    "text/html; charset=utf-8",
  ]);
  expect(await inside.text()).toContain("web/main.tsx:1:12");
  const script = await fetch(`${url}/main.js`);
  expect([script.status, await script.json()]).toMatchObject([
    500,
    { error: { code: "INTERNAL" } },
  ]);
  expect((await fetch(`${url}/api/entities/Note`)).status).toBe(200);
});

/** An app without a page of its own. */
const API_ONLY = { "app.ts": noteApp("text: field.string()"), "functions/one.ts": queryOf("1") };

/** Mistakes in the code of an app: the file, its text, and what the overlay must say. */
const APP_MISTAKES: Readonly<Record<string, readonly [string, string, readonly string[]]>> = {
  "syntax error in a function": [
    "functions/one.ts",
    "export default (;\n",
    ["functions/one.ts:1:17", "Unexpected ;", "export default (;"],
  ],
  "app.ts throws": [
    "app.ts",
    `${API_ONLY["app.ts"]}throw new Error("on <b>purpose</b>");\n`,
    ["app.ts:4:", "on <b>purpose</b>"],
  ],
  "invalid app": [
    "app.ts",
    noteApp("text: field.string()").replace('access: "public"', 'acces: "public"'),
    ["acces", "access"],
  ],
};

async function shoot(page: Page, name: string): Promise<void> {
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 720 });
    await page.screenshot({ path: join(shots, `${name}-${width}.png`) });
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect([name, width, overflow]).toEqual([name, width, 0]);
  }
}

test("open pages show errors of app.ts and functions until these are fixed", async () => {
  using folder = new TempFolder();
  folder.write(API_ONLY);
  await using dev = new PylonProcess(["dev", "--port", "0"], folder.path);
  const { port } = await dev.event();
  const context = await browser.newContext();
  const home = await context.newPage();
  await home.goto(`http://localhost:${String(port)}/`);
  const studio = await context.newPage();
  await studio.goto(`http://localhost:${String(port)}/studio`);
  const pages: readonly (readonly [string, Page, string])[] = [
    ["home", home, "h1:has-text('notes')"],
    ["studio", studio, "h2:has-text('Rows')"],
  ];
  for (const [, page, shown] of pages) await page.waitForSelector(shown);
  for (const [mistake, [file, text, expected]] of Object.entries(APP_MISTAKES)) {
    folder.write({ [file]: text });
    for (const [name, page] of pages) {
      await page.waitForSelector("main section .place");
      const body = await page.innerText("body");
      for (const part of [...expected, "keeps running the previous version"])
        expect([mistake, name, body]).toEqual([mistake, name, expect.stringContaining(part)]);
      await shoot(page, `app-overlay-${mistake.replaceAll(" ", "-")}`);
    }
    folder.write({ [file]: API_ONLY[file as keyof typeof API_ONLY] });
    for (const [, page, shown] of pages) await page.waitForSelector(shown);
  }
  folder.write({ "functions/two.ts": queryOf("2") });
  await home.waitForSelector("dt:has-text('two')");
  await context.close();
}, 60_000);

test("a page of web/ shows errors of the app too; an invalid .env keeps the server", async () => {
  using folder = new TempFolder();
  folder.write({ ...FILES, ".env": "" });
  // A server with another environment must have the same port.
  const port = await freePort();
  await using dev = new PylonProcess(["dev", "--port", String(port)], folder.path);
  await dev.event();
  const page = await browser.newPage();
  await page.goto(`http://localhost:${String(port)}/`);
  const isFine = (): Promise<unknown> =>
    page.waitForFunction(() => document.body.textContent?.includes("hello world"));
  await isFine();
  folder.write({ "app.ts": "export default (;\n" });
  await page.waitForSelector(".place:has-text('app.ts:1:17')");
  folder.write({ "app.ts": FILES["app.ts"] });
  await isFine();
  folder.write({ ".env": "PYLON_FN_CALL_TIMEOUT=soon\n" });
  await page.waitForSelector("h2:has-text('PYLON_FN_CALL_TIMEOUT')");
  folder.write({ "app.ts": "export default (;\n", ".env": "GREETING=hello\n" });
  await page.waitForSelector(".place:has-text('app.ts:1:17')");
  folder.write({ "app.ts": FILES["app.ts"] });
  await isFine();
  await page.close();
}, 60_000);
