import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Locator, Page } from "playwright-core";
import { startFakeModel, type FakeModel } from "../../examples/ai-chat/fake-model.ts";
import { launchBrowser } from "../support/browser.ts";
import { until } from "../support/client.ts";
import { startServer, type TestServer } from "../support/server.ts";

// A model's answer is streamed into a page, is saved, and is the same in another browser.

/** The next words of the model; null ends its answer. */
const words: (string | null)[] = [];
const asked: string[] = [];
let isHungUp = false;

let model: FakeModel;
let server: TestServer;
let browser: Browser;
const problems: string[] = [];

beforeAll(async () => {
  model = await startFakeModel(async function* (question) {
    asked.push(question);
    try {
      for (;;) {
        await until(() => words.length > 0);
        const word = words.shift() ?? null;
        if (word === null) return;
        yield word;
      }
    } finally {
      isHungUp = true;
    }
  });
  const app = await loadApp(join(import.meta.dir, "../../examples/ai-chat"), { dev: true });
  [server, browser] = await Promise.all([
    // In dev mode functions may send requests to this machine.
    startServer(app, {
      PYLON_DEV_MODE: "1",
      PYLON_SINGLE_PORT: "1",
      PYLON_AI_BASE_URL: model.url,
    }),
    launchBrowser(),
  ]);
}, 60_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
  model.stop();
});

/** A user with a separate browser context. */
async function enter(): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", ({ message }) => problems.push(message));
  await page.goto(server.url);
  await page.getByRole("button", { name: "Continue as guest" }).click();
  await page.getByLabel("Question").waitFor();
  return page;
}

function answerIn(page: Page, state: string, text: string): Locator {
  return page.locator(`li.assistant[data-state="${state}"]`, { hasText: new RegExp(`^${text}$`) });
}

async function ask(page: Page, question: string): Promise<void> {
  await page.getByLabel("Question").fill(question);
  await page.getByRole("button", { name: "Ask" }).click();
}

test("an answer streams into two browsers, and survives a reload in the middle", async () => {
  const [ann, bob] = await Promise.all([enter(), enter()]);
  await ask(ann, "Tell me a story");
  words.push("Once ");
  await answerIn(ann, "writing", "Once ").waitFor();
  words.push("upon ");
  await answerIn(ann, "writing", "Once upon ").waitFor();
  await answerIn(bob, "writing", "Once upon ").waitFor();
  await ask(bob, "And another one");
  await bob.getByText("Wait for the answer, or stop it.").waitFor();
  await ann.reload();
  await answerIn(ann, "writing", "Once upon ").waitFor();
  words.push("a ", "time.", null);
  for (const page of [ann, bob]) await answerIn(page, "done", "Once upon a time.").waitFor();
  expect(asked).toEqual(["Tell me a story"]);
  await ann.reload();
  await answerIn(ann, "done", "Once upon a time.").waitFor();

  isHungUp = false;
  await ask(bob, "And another one");
  words.push("No ");
  await answerIn(ann, "writing", "No ").waitFor();
  await ann.getByRole("button", { name: "Stop" }).click();
  await answerIn(bob, "stopped", "No ").waitFor();
  // The job sees the stop with the next word, and aborts its request.
  words.push("more ", "words ", "are ", "read", null);
  await until(() => isHungUp);
  expect(await answerIn(bob, "stopped", "No ").count()).toBe(1);

  model.stop();
  await ask(ann, "Are you there?");
  await bob.getByText("The model could not go on.").waitFor();
  expect(problems).toEqual([]);
}, 60_000);
