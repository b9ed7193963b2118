import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Locator, Page } from "playwright-core";
import { playReplay, readReplay } from "@pylonsync/functions/simulation";
import { ARENA_SIZE } from "../../examples/arena-shard/game/rules.ts";
import arena from "../../examples/arena-shard/shards/arena.ts";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";

const root = join(import.meta.dir, "..", "..");
const TAKES_PICTURES = process.env["PYLON_PICTURES"] === "1";
const WIDE = { width: 1280, height: 760 };
const PHONE = { width: 390, height: 780 };

let server: TestServer;
let browser: Browser;
/** Two players, who are used by all tests. */
let ann: Page;
let tom: Page;
const problems: string[] = [];

beforeAll(async () => {
  const app = await loadApp(join(root, "examples/arena-shard"), { dev: false });
  const started = startServer(app, { PYLON_SINGLE_PORT: "1" });
  [server, browser] = await Promise.all([started, launchBrowser()]);
  [ann, tom] = await Promise.all([enter("Ann"), enter("Tom")]);
}, 60_000);

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** A player with a separate browser context. */
async function enter(name: string): Promise<Page> {
  const context = await browser.newContext({ viewport: WIDE });
  const page = await context.newPage();
  await slowDown(page);
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  await page.goto(server.url);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Play" }).click();
  await page.getByTestId("gems").waitFor();
  return page;
}

/**
 * Limits a page to 20 frames per second. Without a graphics card each frame takes milliseconds of
 * CPU time, and two pages at 60 would keep the machine busy.
 */
async function slowDown(page: Page): Promise<void> {
  await page.addInitScript(() => {
    window.requestAnimationFrame = (callback) =>
      Number(setTimeout(() => callback(performance.now()), 50));
    window.cancelAnimationFrame = (frame) => clearTimeout(frame);
  });
}

function panel(page: Page, name: string): Locator {
  return page.getByRole("region", { name });
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The description of a player for users who cannot see the canvas. */
function shownOn(page: Page, name: string): Locator {
  return page.getByTestId("positions").locator("li", { hasText: name });
}

/** The position at which a page shows a player. */
async function placeOn(page: Page, name: string): Promise<Point> {
  const text = await shownOn(page, name).textContent();
  const [, x, y] = /: (-?\d+), (-?\d+)/.exec(text ?? "") ?? [];
  return { x: Number(x), y: Number(y) };
}

/** One number of the network panel. */
async function stat(page: Page, name: string): Promise<number> {
  const text = await page.getByTestId("stats").locator("div", { hasText: name }).textContent();
  return Number.parseFloat((text ?? "").replace(name, ""));
}

/** Sets a slider from a script. */
function slide(page: Page, name: string, value: number): Promise<void> {
  return page.getByLabel(name).fill(String(value));
}

/** Holds the key that moves towards the middle of the arena. @returns the key */
async function flyInwards(page: Page, { x }: Point): Promise<"KeyA" | "KeyD"> {
  const key = x > ARENA_SIZE / 2 ? "KeyA" : "KeyD";
  await page.keyboard.down(key);
  return key;
}

/**
 * Measures the CPU time that the page's main thread needs for a frame, in milliseconds: unlike the
 * number of frames per second it does not depend on what else the machine does.
 */
async function cpuOfFrame(page: Page, forMs: number): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const cpuMs = async (): Promise<number> => {
    const { metrics } = await session.send("Performance.getMetrics");
    return 1000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? Infinity);
  };
  const before = await cpuMs();
  const frames = await page.evaluate(
    (forMs) =>
      new Promise<number>((resolve) => {
        const start = performance.now();
        let counted = 0;
        const frame = (now: number): void => {
          counted += 1;
          if (now - start < forMs) requestAnimationFrame(frame);
          else resolve(counted);
        };
        requestAnimationFrame(frame);
      }),
    forMs,
  );
  const used = (await cpuMs()) - before;
  await session.detach();
  return used / frames;
}

/** Flies around for the length of two rounds, so that the picture shows gems. */
async function moveAround(page: Page): Promise<void> {
  const keys = ["KeyD", "KeyD", "KeyS", "KeyA", "KeyA", "KeyA", "KeyW", "KeyD", "Space", "KeyS"];
  for (let turn = 0; turn < 60; turn += 1) {
    const key = keys[turn % keys.length] ?? "KeyD";
    await page.keyboard.press(key, { delay: key === "Space" ? 50 : 280 + turn * 6 });
  }
}

/** Takes a screenshot for the docs if PYLON_PICTURES is set. */
async function picture(page: Page, name: string): Promise<void> {
  if (TAKES_PICTURES) await page.screenshot({ path: join(root, "docs/images", name) });
}

test("each player sees the other among the bots, and sees the other move", async () => {
  for (const page of [ann, tom]) {
    for (const name of ["Ann", "Tom"]) await shownOn(page, name).waitFor({ state: "attached" });
    await panel(page, "This round").getByText("Bot").first().waitFor();
  }
  const start = await placeOn(tom, "Ann");
  const key = await flyInwards(ann, start);
  const forwards = key === "KeyD" ? 1 : -1;
  await until(async () => ((await placeOn(tom, "Ann")).x - start.x) * forwards > 2000);
  await ann.keyboard.up(key);
}, 60_000);

test("a watcher has no ship, sees the others, and can fly again", async () => {
  await tom.getByRole("button", { name: "Watch without a ship" }).click();
  await tom.getByTestId("watching").waitFor();
  await shownOn(tom, "Ann").waitFor({ state: "attached" });
  await tom.getByRole("button", { name: "Fly again" }).click();
  await tom.getByTestId("gems").waitFor();
}, 60_000);

test("on a bad network the own ship still moves immediately, and stays in sync", async () => {
  await slide(ann, "Latency", 200);
  await slide(ann, "Loss", 5);
  await ann.getByLabel("Server's ships").check();
  await until(async () => (await stat(ann, "moves ahead")) >= 3);
  const start = await placeOn(ann, "Ann");
  const key = await flyInwards(ann, start);
  const forwards = key === "KeyD" ? 1 : -1;
  const measured = cpuOfFrame(ann, 4000);
  await until(async () => ((await placeOn(tom, "Ann")).x - start.x) * forwards > 1500);
  // Others are shown with a delay of more than a step, so that a lost packet causes no gap.
  await until(async () => (await stat(ann, "others behind")) > 100);
  await picture(ann, "arena-network.png");
  await ann.keyboard.up(key);
  // So that a page can hold 60 frames per second.
  expect(await measured).toBeLessThan(1000 / 60);
  // Bots are nearly always near; the target has moved on when the beam is fired.
  await until(async () => {
    await ann.keyboard.press("KeyE");
    const text = await panel(ann, "Network")
      .getByText(/^\d+ \(\d+\)$/)
      .textContent();
    return Number(/\((\d+)\)/.exec(text ?? "")?.[1]) > 0;
  });
  // Both pages show the position that the server computed.
  await slide(ann, "Loss", 0);
  await slide(ann, "Latency", 0);
  await until(async () => {
    const [here, there] = await Promise.all([placeOn(ann, "Ann"), placeOn(tom, "Ann")]);
    return Math.hypot(here.x - there.x, here.y - there.y) < 100;
  });
  await ann.getByLabel("Server's ships").uncheck();
}, 60_000);

test("without prediction the own ship is shown as the server sends it", async () => {
  await ann.getByLabel("Prediction").uncheck();
  await ann.getByLabel("Interpolation").uncheck();
  const start = await placeOn(ann, "Ann");
  const key = await flyInwards(ann, start);
  const forwards = key === "KeyD" ? 1 : -1;
  await until(async () => ((await placeOn(ann, "Ann")).x - start.x) * forwards > 1500);
  await ann.keyboard.up(key);
  expect(await stat(ann, "others behind")).toBe(0);
  await ann.getByLabel("Prediction").check();
  await ann.getByLabel("Interpolation").check();
}, 60_000);

test("a round ends in the leaderboard of both", async () => {
  for (const page of [ann, tom]) {
    await panel(page, "Leaderboard").getByRole("button", { name: "10 s" }).click();
    await shownOn(page, "Ann").waitFor({ state: "attached" });
  }
  for (const page of [ann, tom]) {
    const board = panel(page, "Leaderboard");
    await board.getByText("Ann").waitFor({ timeout: 40_000 });
    await board.getByText("Tom").waitFor({ timeout: 40_000 });
  }
  if (!TAKES_PICTURES) return;
  await Promise.all([moveAround(ann), moveAround(tom)]);
  await picture(tom, "arena.png");
}, 100_000);

test("a browser replays a recorded round to the same end, also from its file", async () => {
  await panel(ann, "Replays").getByRole("button", { name: "Watch the round" }).first().click();
  await panel(ann, "Pilots").getByText("Ann").waitFor();
  await ann.getByRole("button", { name: "8×" }).click();
  await ann.getByText("✓ the same end as on the server").waitFor();
  await ann.getByRole("button", { name: "Pause" }).click();
  await ann.getByLabel("Position").fill("150");
  await ann.getByText("✓ the same end as on the server").waitFor({ state: "detached" });
  await picture(ann, "arena-replay.png");

  const download = ann.waitForEvent("download");
  await ann.getByRole("link", { name: "Download" }).click();
  const file = await (await download).path();
  const recording = readReplay(JSON.parse(await readFile(file, "utf8")));
  expect(recording.shard).toBe("arena:sprint");
  // Bun's JavaScript engine differs from Chromium's.
  const player = playReplay(arena, recording);
  player.seek(player.to);
  expect(player.verdict).toMatchObject({ isSame: true, differsAt: null });
  expect(player.verdict.checked).toBeGreaterThan(0);

  const [a, b, c, count] = recording.initial.random;
  const initial = { ...recording.initial, random: [a + 1, b, c, count] };
  const changed = { ...recording, initial };
  await tom.getByLabel("Open a recording").setInputFiles({
    name: "changed.json",
    mimeType: "application/json",
    buffer: Buffer.from(JSON.stringify(changed)),
  });
  await tom.getByRole("button", { name: "8×" }).click();
  await tom.getByText("✗ not the end that the server had").waitFor();
  await tom.getByRole("button", { name: "Back to the game" }).click();
  await tom.getByTestId("gems").waitFor();
}, 60_000);

test("on a phone a finger steers, and the panels are behind a button", async () => {
  await tom.setViewportSize(PHONE);
  const board = panel(tom, "Leaderboard");
  await board.waitFor({ state: "hidden" });
  await tom.getByRole("button", { name: "Menu" }).click();
  await board.waitFor();
  await tom.getByRole("button", { name: "Close" }).click();
  await board.waitFor({ state: "hidden" });

  await shownOn(tom, "Tom").waitFor({ state: "attached" });
  const start = await placeOn(tom, "Tom");
  const middle = { x: PHONE.width / 2, y: PHONE.height / 2 };
  const drawn = start.y > ARENA_SIZE / 2 ? -60 : 60;
  await tom.mouse.move(middle.x, middle.y);
  await tom.mouse.down();
  await tom.mouse.move(middle.x, middle.y + drawn, { steps: 4 });
  await until(async () => ((await placeOn(tom, "Tom")).y - start.y) * Math.sign(drawn) > 1500);
  await tom.mouse.up();
}, 60_000);

test("a page shows that its shard was stopped, and joins it again on request", async () => {
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  expect((await admin.request("POST", "/api/shards/arena:sprint/stop")).status).toBe(200);
  await tom.getByRole("alert").filter({ hasText: "the shard was stopped" }).waitFor();
  await tom.getByRole("button", { name: "Play again" }).click();
  await shownOn(tom, "Tom").waitFor({ state: "attached" });
}, 60_000);

test("a client can neither write a score nor fly for another player", async () => {
  const guest = await TestClient.guest(server.url);
  const score = { userId: guest.userId, mode: "classic", name: "Mallory", gems: 999, roundId: "r" };
  const post = async (path: string, body: object) =>
    (await guest.request("POST", path, body)).status;
  expect(await post("/api/entities/Score", score)).toBe(403);
  expect(await post("/api/fn/recordRound", { shardId: "arena:main" })).toBeOneOf([403, 404]);
  const rows = await guest.request("POST", "/api/query/Pilot", { name: "Ann" });
  const [{ userId }] = JSON.parse(rows.text) as [{ readonly userId: string }];
  const input = { input: { x: 1, y: 1, dash: true }, subscriber_id: userId };
  expect(await post("/api/shards/arena:sprint/input", input)).toBe(403);
});

test("no errors were written to the console", () => {
  expect(problems).toEqual([]);
});
