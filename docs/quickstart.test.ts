import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";
import { until } from "../tests/support/client.ts";
import { freePort } from "../tests/support/servers/free-port.ts";
import { TempFolder } from "../packages/cli/src/testing/pylon-process.ts";
import { codeBlocks, matches } from "./code-blocks.ts";
import { Terminal } from "./terminal.ts";

// The quick start, pasted block by block into two terminals: in a home of its own, outside of the
// clone, with the clone's own command.

const CLONE = join(import.meta.dir, "..");
/**
 * They change the clone's packages, which other tests run on; tests/browser/browser.test.ts runs
 * what `npm start` runs.
 */
const LEFT_OUT = /^npm (ci|start)$/;
const STAYS = /^pylon dev$/m;
const ADDRESS = "http://localhost:4321";

const home = new TempFolder();
let url: string;
let first: Terminal;
let second: Terminal;

beforeAll(async () => {
  const port = await freePort();
  url = `http://localhost:${port}`;
  // A registry's address and a cache are the developer's own.
  const {
    PATH = "",
    npm_config_cache: cache = join(process.env["HOME"] ?? "", ".npm"),
    npm_config_userconfig: npmrc = join(process.env["HOME"] ?? "", ".npmrc"),
  } = process.env;
  const env = {
    // Settings of the test run that spare requests.
    ...Object.fromEntries(
      Object.entries(process.env).filter((entry): entry is [string, string] =>
        entry[0].startsWith("npm_config_"),
      ),
    ),
    PATH,
    HOME: home.path,
    PYLON_PORT: String(port),
    PYLON_SINGLE_PORT: "1",
    npm_config_cache: cache,
    npm_config_userconfig: npmrc,
  };
  first = new Terminal(CLONE, env);
  second = new Terminal(home.path, env);
});
afterAll(async () => {
  await first.close();
  await second.close();
  home[Symbol.dispose]();
});

test("the quick start works from top to bottom", async () => {
  const app = join(home.path, "my-app");
  let printed = "";
  let dev: { readonly output: () => string; readonly stop: () => Promise<void> } | null = null;
  for (const { language, label, code, line } of codeBlocks(
    join(import.meta.dir, "quickstart.md"),
  )) {
    const where = `quickstart.md:${line}`;
    if (language === "json") {
      const actual: unknown = JSON.parse(printed);
      if (!matches(JSON.parse(code), actual))
        expect({ where, printed: actual }).toEqual({ where, printed: JSON.parse(code) as unknown });
    } else if (language !== "sh") {
      await save(join(app, label), code, dev?.output);
    } else if (label === "second terminal") {
      printed = await second.run(code.replaceAll(ADDRESS, url), where);
    } else {
      // Ctrl+C, as the text says.
      await dev?.stop();
      dev = null;
      await first.run(
        code
          .split("\n")
          .filter((text) => !LEFT_OUT.test(text))
          .join("\n")
          .replace(STAYS, ""),
        where,
      );
      if (!STAYS.test(code)) continue;
      dev = await first.start("pylon dev");
      await until(
        () =>
          fetch(`${url}/health`).then(
            ({ ok }) => ok,
            () => false,
          ),
        60_000,
      );
      expect(await (await fetch(url)).text()).toContain("my-app");
    }
    if (label === "web/main.tsx") await useThePage();
  }
  expect(readdirSync(join(app, "node_modules", "@pylonsync"))).toContain("cli");
}, 600_000);

test("nothing leads to the package that npm knows as pylon", () => {
  const pages = [
    "README.md",
    ...readdirSync(import.meta.dir, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];
  expect(
    pages.filter((page) => /npx pylon init/.test(readFileSync(join(CLONE, page), "utf8"))),
  ).toEqual([]);
});

/**
 * A file that is there already is only shown: it has to be as shown. What is saved while the app is
 * served is loaded before one goes on.
 */
async function save(path: string, code: string, output: (() => string) | undefined): Promise<void> {
  if (existsSync(path)) {
    expect(readFileSync(path, "utf8")).toBe(code);
    return;
  }
  const reloads = (): number => output?.().split("Reloaded").length ?? 0;
  const before = reloads();
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, code);
  await until(() => reloads() > before, 60_000);
}

/** As two tabs of one guest. */
async function useThePage(): Promise<void> {
  const browser = await chromium.launch({
    executablePath: process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  try {
    const context = await browser.newContext();
    const [one, other] = [await context.newPage(), await context.newPage()];
    await one.goto(url);
    await one.getByText("Continue as guest").click();
    await one.getByLabel("Note").waitFor();
    await other.goto(url);
    await other.getByLabel("Note").waitFor();
    await one.getByLabel("Note").fill("written in one tab");
    await one.getByRole("button", { name: "Add" }).click();
    await other.getByRole("listitem").filter({ hasText: "written in one tab" }).waitFor();
    await other.getByRole("button", { name: "Delete" }).click();
    await until(async () => (await one.getByRole("listitem").count()) === 0);
  } finally {
    await browser.close();
  }
}
