import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Page } from "playwright-core";
import { accessibilityProblems } from "../support/accessibility.ts";
import { launchBrowser } from "../support/browser.ts";
import { startServer, type TestServer } from "../support/server.ts";

const APP = join(import.meta.dir, "..", "support", "sign-in-app");
/** An image of one pixel. */
const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk" +
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

const MIB = 1024 * 1024;
/** The file is on the disk, so that it is the same file when it is chosen again. */
const dir = mkdtempSync(join(tmpdir(), "pylon-file-input-"));
const BIG = join(dir, "big.png");
const BIG_BYTES = Uint8Array.from({ length: 11 * MIB }, (_, index) => (index * 31) & 255);
const BIG_HASH = new Bun.CryptoHasher("sha256").update(BIG_BYTES).digest("hex");
writeFileSync(BIG, BIG_BYTES);

let server: TestServer;
let browser: Browser;
let page: Page;
beforeAll(async () => {
  server = await startServer(await loadApp(APP, { dev: false }), { PYLON_COOKIE_SECURE: "0" });
  browser = await launchBrowser();
  page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(`${server.url}/sign-up`);
  await page.getByLabel("E-mail").fill("ann@example.com");
  await page.getByLabel("Password").fill("correct horse battery");
  await page.getByRole("button", { name: "Create the account" }).click();
  await page.waitForURL("**/home");
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  rmSync(dir, { recursive: true });
});
beforeEach(() => page.goto(`${server.url}/upload`));

const choose = (name: string, mimeType: string, buffer: Buffer): Promise<void> =>
  page.getByLabel("Photo").setInputFiles({ name, mimeType, buffer });
const idInForm = (): Promise<string> => page.locator("input[name=photo]").inputValue();

test("an image is shown, stored, put into the form, and removed again", async () => {
  await choose("käse.png", "image/png", PIXEL);
  await page.locator("output").filter({ hasText: "/api/files/" }).waitFor();
  const drawn = page.locator("img.pylon-preview");
  expect(
    await drawn.evaluate((image: HTMLImageElement) => image.decode().then(() => "drawn")),
  ).toBe("drawn");
  const url = (await page.locator("output").textContent()) ?? "";
  expect(url).toContain(await idInForm());
  const stored = await page.evaluate(async (from) => {
    const answer = await fetch(from);
    return {
      size: (await answer.arrayBuffer()).byteLength,
      type: answer.headers.get("content-type"),
    };
  }, url);
  expect(stored).toEqual({ size: PIXEL.byteLength, type: "image/png" });
  expect(await accessibilityProblems(page)).toEqual([]);
  await page.getByRole("button", { name: "Remove" }).click();
  await page.locator("output").filter({ hasNotText: /./ }).waitFor({ state: "attached" });
  expect(await idInForm()).toBe("");
  expect(await drawn.count()).toBe(0);
}, 60_000);

test("an image that the browser can't show is uploaded without a preview", async () => {
  await choose("photo.heic", "image/heic", Buffer.from("no image"));
  await page.locator("output").filter({ hasText: "/api/files/" }).waitFor();
  await page.locator("img.pylon-preview").waitFor({ state: "detached" });
  expect(await page.locator(".pylon-file-name").textContent()).toContain("photo.heic");
}, 60_000);

test("a rejected file is reported at the input, and another file can be chosen", async () => {
  await choose("list.txt", "text/plain", Buffer.from("Buy milk"));
  await page.getByRole("alert").filter({ hasText: /\w/ }).waitFor();
  expect(await page.getByLabel("Photo").getAttribute("aria-invalid")).toBe("true");
  expect(await accessibilityProblems(page)).toEqual([]);
  await choose("a.png", "image/png", PIXEL);
  await page.locator("output").filter({ hasText: "/api/files/" }).waitFor();
  expect(await page.getByLabel("Photo").getAttribute("aria-invalid")).toBeNull();
}, 60_000);

test("progress is shown; an upload can be cancelled, and tried again", async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  await page.route("**/api/files/upload*", async (route) => {
    await held;
    await route.abort();
  });
  await choose("a.png", "image/png", PIXEL);
  await page.getByRole("progressbar", { name: "Upload of a.png" }).waitFor();
  expect(await accessibilityProblems(page)).toEqual([]);
  await page.getByRole("button", { name: "Cancel" }).click();
  expect(await page.getByRole("progressbar").count()).toBe(0);
  expect(await page.locator(".pylon-error:visible").count()).toBe(0);

  await choose("b.png", "image/png", PIXEL);
  release();
  await page.getByRole("alert").filter({ hasText: "can't be reached" }).waitFor();
  await page.unroute("**/api/files/upload*");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator("output").filter({ hasText: "/api/files/" }).waitFor();
}, 60_000);

test("a dropped file is uploaded, and the progress never goes back", async () => {
  await page.getByLabel("Photo").waitFor();
  await page.evaluate(() => {
    const seen: number[] = [];
    Object.assign(window, { seen });
    new MutationObserver(() => {
      for (const bar of document.querySelectorAll("progress")) seen.push(bar.value);
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(1_500_000)], "big.png", { type: "image/png" }));
    document
      .querySelector(".pylon-upload")
      ?.dispatchEvent(new DragEvent("drop", { bubbles: true, dataTransfer: transfer }));
  });
  await page.locator("output").filter({ hasText: "/api/files/" }).waitFor();
  const seen = await page.evaluate(() => (window as unknown as { seen: number[] }).seen);
  expect(seen.length).toBeGreaterThan(0);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  // The end of a quick upload may arrive together with its last progress.
  expect(seen.every((part) => part >= 0 && part <= 1)).toBe(true);
}, 60_000);

/** Records the offsets of the chunks that the page sends, and decides what happens to each one. */
async function watchPieces(
  onPiece: (offset: number, count: number) => Promise<"send" | "cut">,
): Promise<number[]> {
  const offsets: number[] = [];
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.route("**/api/files/tus/*", async (route) => {
    const request = route.request();
    if (request.method() !== "PATCH") return route.continue();
    const offset = Number(request.headers()["upload-offset"]);
    offsets.push(offset);
    const isSent = (await onPiece(offset, offsets.length)) === "send";
    return isSent ? route.continue() : route.abort("connectionreset").catch(() => undefined);
  });
  return offsets;
}
const chooseBig = (): Promise<void> => page.getByLabel("Photo").setInputFiles(BIG);
/** The SHA-256 of the file on the server. */
async function storedHash(): Promise<string> {
  const url = (await page.locator("output").textContent()) ?? "";
  return page.evaluate(async (from) => {
    const bytes = await (await fetch(from)).arrayBuffer();
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }, url);
}
const isStored = (): Promise<void> =>
  page.locator("output").filter({ hasText: "/api/files/" }).waitFor();

test("a large upload resumes where the connection was lost", async () => {
  const offsets = await watchPieces(async (_, count) => (count === 2 ? "cut" : "send"));
  await chooseBig();
  await page.getByText("Waiting for a connection").waitFor();
  await isStored();
  expect(offsets).toEqual([0, 5 * MIB, 5 * MIB, 10 * MIB]);
  expect(await storedHash()).toBe(BIG_HASH);
}, 60_000);

test("a large upload resumes after a reload, once the same file is chosen", async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: isHeld, resolve: hold } = Promise.withResolvers<void>();
  await watchPieces(async (offset) => {
    if (offset === 0) return "send";
    hold();
    await held;
    return "cut";
  });
  await chooseBig();
  await isHeld;
  // An upload belongs to its user, so the page must know its user before the file is chosen.
  const identified = page.waitForResponse("**/api/auth/me");
  await page.reload();
  await identified;
  release();
  const offsets = await watchPieces(async () => "send");
  await chooseBig();
  await isStored();
  expect(offsets).toEqual([5 * MIB, 10 * MIB]);
  expect(await storedHash()).toBe(BIG_HASH);
  // A finished upload is not stored: the same file would start another upload.
  expect(await page.evaluate(() => localStorage.getItem("pylon:uploads"))).toBeNull();
}, 60_000);

test("a large upload is paused, resumed, and cancelled on the server too", async () => {
  const { promise: isHeld, resolve: hold } = Promise.withResolvers<void>();
  await watchPieces(async (offset, count) => {
    if (count > 2 || offset === 0) return "send";
    hold();
    await page.getByText("Paused").waitFor();
    return "cut";
  });
  await chooseBig();
  await isHeld;
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused").waitFor();
  expect(await accessibilityProblems(page)).toEqual([]);
  const offsets = await watchPieces(async () => "send");
  await page.getByRole("button", { name: "Resume" }).click();
  await isStored();
  expect(offsets).toEqual([5 * MIB, 10 * MIB]);

  await page.reload();
  await watchPieces(async (offset) => {
    if (offset > 0) await page.getByRole("button", { name: "Cancel" }).click();
    return offset > 0 ? "cut" : "send";
  });
  const ended = page.waitForResponse((response) => response.request().method() === "DELETE");
  await chooseBig();
  expect((await ended).status()).toBe(204);
  expect(await page.evaluate(() => localStorage.getItem("pylon:uploads"))).toBeNull();
}, 60_000);

test("an upload is not made as the user who has signed in since by the cookie", async () => {
  // The page connects when it knows its user.
  const connected = (): Promise<unknown> => page.waitForEvent("websocket");
  // The cookie that the server has set beside the token stays.
  await page.evaluate(() => localStorage.clear());
  await watchPieces(async () => "send");
  const isKnown = connected();
  await page.reload();
  await isKnown;
  const attempts: [string, number][] = [];
  page.on("response", (response) => {
    const { pathname } = new URL(response.url());
    if (response.request().method() === "POST" && pathname.startsWith("/api/files/"))
      attempts.push([pathname, response.status()]);
  });
  for (const [path, upload] of [
    ["/api/files/tus", chooseBig],
    ["/api/files/upload", () => choose("a.png", "image/png", PIXEL)],
  ] as const) {
    const isKnownAgain = connected();
    await page.evaluate(() => fetch("/api/auth/guest", { method: "POST", body: "{}" }));
    await upload();
    await page.getByRole("alert").filter({ hasText: "by another user" }).waitFor();
    expect(attempts.splice(0)).toEqual([[path, 401]]);
    await isKnownAgain;
    await page.getByRole("button", { name: "Try again" }).click();
    await isStored();
    expect(attempts.splice(0)).toEqual([[path, 201]]);
    await page.getByRole("button", { name: "Remove" }).click();
  }
}, 60_000);
