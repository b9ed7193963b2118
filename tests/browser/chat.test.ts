import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Locator, Page } from "playwright-core";
import { seedRows } from "../../examples/chat/seed/rows.ts";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";

const root = join(import.meta.dir, "..", "..");
const MESSAGES = 50_000;
const LAST = "Let's. I'll write the release notes after lunch.";
const FIRST_SCREEN_BYTES = 60_000;
const FIRST_SCREEN_SECONDS = 1;
const WIDE = { width: 1280, height: 760 };
const PHONE = { width: 360, height: 720 };

let server: TestServer;
let browser: Browser;
/** Two users, who are used by all tests. */
let ann: Visitor;
let tom: Visitor;
const problems: string[] = [];

beforeAll(async () => {
  const started = startServer(await loadApp(join(root, "examples/chat"), { dev: false }), {
    PYLON_SINGLE_PORT: "1",
  });
  [server, browser] = await Promise.all([started, launchBrowser()]);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const entities = seedRows(MESSAGES, new Date());
  const { status, body } = await admin.request("POST", "/api/import", { entities });
  expect({ status, failed: body["failed"] }).toEqual({ status: 200, failed: 0 });
  [ann, tom] = await Promise.all([enter("Ann Lee"), enter("Tom Ito")]);
}, 180_000);

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** The messages that a page has received over its socket. */
interface Wire {
  readonly bytes: () => number;
  /** The ids of the received messages, with duplicates. */
  readonly messageIds: () => string[];
}

function listen(page: Page): Wire {
  const frames: string[] = [];
  page.on("websocket", (socket) =>
    socket.on("framereceived", ({ payload }) => frames.push(String(payload))),
  );
  return {
    bytes: () => frames.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0),
    messageIds: () =>
      frames.flatMap((frame) =>
        Array.from(frame.matchAll(/"id":"(message-\d+)","channelId"/g), ([, id = ""]) => id),
      ),
  };
}

interface Visitor {
  readonly page: Page;
  readonly wire: Wire;
  readonly close: () => Promise<void>;
}

/** A user with a separate browser context, who has entered and sees #general. */
async function enter(name: string): Promise<Visitor> {
  const context = await browser.newContext({ viewport: WIDE });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const wire = listen(page);
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    // Chromium itself reports a lost network as an error; only errors of React and the app count.
    const isNetwork = /Failed to load resource|WebSocket connection|ERR_/.test(message.text());
    if (message.type() === "error" && !isNetwork) problems.push(message.text());
  });
  await page.goto(server.url);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join the chat" }).click();
  await inChannel(page, LAST).waitFor();
  return { page, wire, close: () => context.close() };
}

/** A message in the middle column. */
function inChannel(page: Page, text: string): Locator {
  return page.getByRole("main").getByTestId("message").filter({ hasText: text }).last();
}

function region(page: Page, name: string): Locator {
  return page.getByRole("region", { name });
}

/** Opens a channel, and waits until it is loaded. */
async function open(page: Page, channel: string): Promise<void> {
  await page.getByRole("navigation").getByRole("link", { name: channel }).click();
  await page.getByRole("heading", { name: `# ${channel}` }).waitFor();
}

/** Takes a screenshot for the docs if PYLON_PICTURES is set. */
async function picture(page: Page, name: string): Promise<void> {
  if (process.env["PYLON_PICTURES"] === "1")
    await page.screenshot({ path: join(root, "docs/images", name) });
}

async function send(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message to #").fill(text);
  await page.keyboard.press("Enter");
}

/** Scrolls close to the top of the messages. @returns the first visible item, and its position */
function scrollUp(page: Page): Promise<{ readonly id: string; readonly top: number }> {
  return page.getByRole("log", { name: "Messages" }).evaluate(async (box) => {
    box.scrollTop = 120;
    await new Promise((resolve) => box.addEventListener("scroll", resolve, { once: true }));
    const edge = box.getBoundingClientRect().top;
    for (const item of box.querySelectorAll<HTMLElement>("[data-item]")) {
      const { top, bottom } = item.getBoundingClientRect();
      if (bottom > edge) return { id: item.dataset["item"] ?? "", top };
    }
    return { id: "", top: 0 };
  });
}

test("of 50,000 messages the newest are loaded, and scrolling up loads only the next", async () => {
  const { page, wire, close } = await enter("Newcomer");
  const shown = page.getByRole("main").getByTestId("message");
  await until(async () => (await shown.count()) === 50);
  await page.getByText("Live").waitFor();
  expect(wire.bytes()).toBeLessThan(FIRST_SCREEN_BYTES);
  expect(wire.messageIds()).toHaveLength(50);

  const first = await scrollUp(page);
  await until(async () => (await shown.count()) === 100);
  const place = await page
    .locator(`[data-item="${first.id}"]`)
    .evaluate((item) => item.getBoundingClientRect().top);
  expect(Math.abs(place - first.top)).toBeLessThan(2);
  expect(wire.messageIds()).toHaveLength(100);
  expect(new Set(wire.messageIds()).size).toBe(100);
  await close();
}, 30_000);

test("rendering the first screen takes less than a second of CPU time", async () => {
  const { page, close } = await enter("Returning");
  const devtools = await page.context().newCDPSession(page);
  // The page's own CPU time, which does not depend on the load of the machine.
  await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
  const worked = async (): Promise<number> => {
    const { metrics } = await devtools.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0;
  };
  const before = await worked();
  await page.reload();
  await inChannel(page, LAST).waitFor();
  const seconds = (await worked()) - before;
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThan(FIRST_SCREEN_SECONDS);
  await close();
}, 30_000);

test("far up, a page holds at most 500 messages, and returns to the newest", async () => {
  const { page, wire } = ann;
  const shown = page.getByRole("main").getByTestId("message");
  for (let pages = 1; pages <= 11; pages += 1) {
    const before = await shown.first().getAttribute("data-item");
    await scrollUp(page);
    await until(async () => (await shown.first().getAttribute("data-item")) !== before);
    expect(await shown.count()).toBeLessThanOrEqual(500);
  }
  expect(await shown.first().getAttribute("data-item")).toBe("message-049401");
  // 600 of them once each, and 50 again because most had been dropped.
  expect(wire.messageIds()).toHaveLength(650);
  await page.getByRole("button", { name: "Show the newest messages" }).click();
  await inChannel(page, LAST).waitFor();
}, 30_000);

test("two people see each other, type, and write to each other", async () => {
  await tom.page.setViewportSize(PHONE);
  await tom.page.emulateMedia({ colorScheme: "dark" });
  await region(ann.page, "Here now").getByText("Tom Ito").waitFor();
  expect(await region(ann.page, "Here now").getByText("Ada Okafor").count()).toBe(0);

  const field = tom.page.getByLabel("Message to #general");
  await field.pressSequentially("Hi");
  await ann.page.getByText("Tom Ito is typing…").waitFor();
  await tom.page.keyboard.press("Shift+Enter");
  await tom.page.keyboard.type("Ann");
  await tom.page.keyboard.press("Enter");
  await inChannel(ann.page, "Hi\nAnn").waitFor();
  await ann.page.getByText("is typing").waitFor({ state: "detached" });
  expect(await field.inputValue()).toBe("");
  expect(await field.evaluate((element) => element === document.activeElement)).toBe(true);
  await picture(tom.page, "chat-phone.png");

  await tom.page.getByLabel("All channels").click();
  await region(ann.page, "Away").getByText("Tom Ito").waitFor();
  await tom.page.setViewportSize(WIDE);
  await open(tom.page, "general");
}, 30_000);

test("reactions and threads show on both sides", async () => {
  await send(ann.page, "Who brings cake?");
  const anns = inChannel(ann.page, "Who brings cake?");
  const toms = inChannel(tom.page, "Who brings cake?");
  await toms.hover();
  await toms.getByLabel("React with 🎉").click();
  await anns.getByRole("button", { name: "🎉 1", exact: true }).click();
  await toms.getByRole("button", { name: "🎉 2", exact: true }).click();
  await anns.getByRole("button", { name: "🎉 1", exact: true, pressed: true }).waitFor();

  await toms.hover();
  await toms.getByRole("link", { name: "Reply" }).click();
  await tom.page.getByLabel("Reply", { exact: true }).fill("I do.");
  await tom.page.keyboard.press("Enter");
  await anns.getByRole("link", { name: "1 reply" }).click();
  const thread = ann.page.getByRole("complementary", { name: "Thread" });
  await thread.getByText("I do.").waitFor();
  await thread.getByLabel("Reply").fill("Thank you!");
  await ann.page.keyboard.press("Enter");
  await tom.page.getByRole("complementary").getByText("Thank you!").waitFor();
  await toms.getByRole("link", { name: "2 replies" }).waitFor();
  expect(await inChannel(tom.page, "Thank you!").count()).toBe(0);
  await tom.page.getByLabel("Message to #general").pressSequentially("Mm");
  await ann.page.getByText("Tom Ito is typing…").waitFor();
  await picture(ann.page, "chat-wide.png");
  await tom.page.getByLabel("Message to #general").fill("");
  await tom.page.getByLabel("Close thread").click();
  await thread.getByLabel("Close thread").click();
  await region(ann.page, "Here now").waitFor();
}, 30_000);

test("a channel is created, joined, counted while unread, and left", async () => {
  await ann.page.getByLabel("New channel").fill("Lunch Plans");
  await ann.page.keyboard.press("Enter");
  await ann.page.getByLabel("Message to #lunch-plans").waitFor();
  await ann.page.getByText("Nobody has written here yet.").waitFor();
  await ann.page.getByLabel("New channel").fill("lunch plans");
  await ann.page.keyboard.press("Enter");
  await ann.page.getByRole("alert").filter({ hasText: "#lunch-plans already" }).waitFor();

  await open(tom.page, "lunch-plans");
  await tom.page.getByRole("button", { name: "Join #lunch-plans" }).click();
  await tom.page.getByLabel("Message to #lunch-plans").waitFor();
  await open(tom.page, "general");
  await inChannel(tom.page, LAST).waitFor();
  await send(ann.page, "Soup at noon?");
  await send(ann.page, "Or later");
  const unread = tom.page.getByRole("navigation").getByText("unread");
  await tom.page.getByRole("link", { name: "lunch-plans 2 unread" }).waitFor();
  await open(tom.page, "lunch-plans");
  await inChannel(tom.page, "Or later").waitFor();
  // The messages that were read stay read.
  await tom.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  await open(tom.page, "general");
  await inChannel(tom.page, LAST).waitFor();
  expect(await unread.count()).toBe(0);

  await open(tom.page, "lunch-plans");
  await tom.page.getByRole("button", { name: "Leave" }).click();
  await tom.page.getByRole("button", { name: "Join #lunch-plans" }).waitFor();
  expect(await inChannel(tom.page, "Soup at noon?").count()).toBe(0);
  await Promise.all([open(ann.page, "general"), open(tom.page, "general")]);
}, 30_000);

test("a search finds messages of the whole channel, and leads to their threads", async () => {
  const { page } = ann;
  const pane = page.getByRole("complementary", { name: "Search" });
  const search = async (text: string): Promise<void> => {
    await page.getByLabel("Search messages").fill(text);
    await page.keyboard.press("Enter");
  };
  await page.getByRole("button", { name: "Search" }).click();
  await search("Who brings");
  expect(await pane.locator("mark").first().textContent()).toBe("Who brings");
  await search("measured the map again");
  await until(async () => (await pane.getByTestId("message").count()) === 30);
  await search("no such words");
  await pane.getByText("Nothing contains “no such words”.").waitFor();
  await search("Who brings");
  await pane.getByRole("link", { name: "Who brings cake?" }).click();
  await page.getByRole("complementary", { name: "Thread" }).getByText("2 replies").waitFor();
}, 30_000);

test("a file is attached with progress, and shown only to members", async () => {
  const { page } = ann;
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  await page.route("**/api/files/upload*", async (route) => {
    await held;
    await route.continue();
  });
  const main = page.getByRole("main");
  const attach = (name: string, mimeType: string, buffer: Buffer): Promise<void> =>
    main.getByLabel("Attach a file").setInputFiles({ name, mimeType, buffer });
  await attach("notes.txt", "text/plain", Buffer.from("Buy flour"));
  const attached = page.getByRole("group", { name: "Attached file" });
  await attached.getByRole("progressbar").waitFor();
  await page.getByLabel("Message to #").fill("For the cake");
  expect(await main.getByRole("button", { name: "Send" }).isDisabled()).toBe(true);
  release();
  await attached.getByRole("progressbar").waitFor({ state: "detached" });
  await main.getByRole("button", { name: "Send" }).click();
  await attached.waitFor({ state: "detached" });
  await page.unroute("**/api/files/upload*");

  const download = tom.page.waitForEvent("download");
  await inChannel(tom.page, "For the cake").getByRole("button", { name: "Save notes.txt" }).click();
  expect(await Bun.file(await (await download).path()).text()).toBe("Buy flour");

  // A picture without a text.
  await attach("cake.png", "image/png", await page.screenshot());
  await attached.getByRole("progressbar").waitFor({ state: "detached" });
  await main.getByRole("button", { name: "Send" }).click();
  const drawn = tom.page.getByRole("img", { name: "cake.png" });
  await drawn.waitFor();
  expect(
    await drawn.evaluate((image: HTMLImageElement) => image.decode().then(() => "drawn")),
  ).toBe("drawn");
  await attach("recipe.pdf", "application/pdf", Buffer.from("%PDF"));
  await attached.getByText("recipe.pdf").waitFor();
  await page.getByRole("img", { name: "cake.png" }).waitFor();
  await picture(page, "chat-files.png");
  await attached.getByRole("button", { name: "Remove recipe.pdf" }).click();
  await tom.page.setViewportSize(PHONE);
  await picture(tom.page, "chat-files-phone.png");
  await tom.page.setViewportSize(WIDE);
}, 60_000);

test("an offline message is shown, stored, and sent when the network is back", async () => {
  const { page } = ann;
  await page.context().setOffline(true);
  await page.getByTestId("connection").filter({ hasText: "Offline" }).waitFor();
  await send(page, "Written in a tunnel");
  await inChannel(page, "Written in a tunnel").getByText("Waits to be sent").waitFor();
  await page.getByText("Offline, 1 to send").waitFor();
  await page.context().setOffline(false);
  await inChannel(tom.page, "Written in a tunnel").waitFor();
  await page.getByText("Waits to be sent").waitFor({ state: "detached" });
}, 30_000);

test("a name cannot be forged, and only members read messages and join the room", async () => {
  const guest = await TestClient.guest(server.url);
  const channelId = "channel-design";
  const row = { channelId, authorName: "Mallory", text: "hi" };
  const insert = (values: object) =>
    guest.request("POST", "/api/entities/Message", { ...row, ...values });
  expect((await guest.request("POST", "/api/query/Message", {})).text).toBe("[]");
  expect((await insert({})).status).toBe(403);
  const room = { room: `channel/${channelId}` };
  expect((await guest.request("POST", "/api/rooms/join", room)).status).toBe(403);

  await guest.request("POST", "/api/fn/enter", { name: "Mallory" });
  expect((await insert({})).status).toBe(403);
  await guest.request("POST", "/api/fn/joinChannel", { channelId });
  expect((await insert({ authorName: "Ada Okafor" })).status).toBe(403);
  expect((await insert({ createdAt: "2999-01-01" })).status).toBe(403);
  expect((await insert({ parentId: "message-050000" })).status).toBe(403);
  expect((await insert({})).status).toBe(201);
  expect((await guest.request("POST", "/api/rooms/join", room)).status).toBe(200);
});

test("no errors were written to the console", () => {
  expect(problems).toEqual([]);
});
