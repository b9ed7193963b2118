import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadApp, type LoadedApp } from "./load-app.ts";
import { watchApp, type AppPart } from "./watch-app.ts";

const APP = `import { buildManifest, entity, field } from "@pylonsync/sdk";
import { LIMIT } from "@acme/shared";
import words from "./words.txt" with { type: "text" };
const size = <number>LIMIT;
export default buildManifest({
  name: "a", version: String(size) + words, access: "public",
  entities: [entity("Note", { text: field.string() })],
});
`;
const FUNCTION = `import { query } from "@pylonsync/functions";
import { rank } from "../lib/rank.ts";
export default query({ handler: async () => rank + (await import("../lib/late.ts")).late });
`;

let folder = "";
let dir = "";
let watched: Watched;

/** Collects reports, one for each file that is saved. */
class Watched {
  readonly #reports: string[] = [];
  #onReport: () => void = () => undefined;
  readonly stop: () => void;

  constructor() {
    this.stop = watchApp({ dir }, (parts: ReadonlySet<AppPart>) => {
      this.#reports.push([...parts].toSorted().join());
      this.#onReport();
    });
  }

  async next(): Promise<string> {
    if (this.#reports.length === 0)
      await new Promise<void>((resolve) => {
        this.#onReport = resolve;
      });
    return this.#reports.shift() ?? "";
  }
}

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

const load = (): Promise<LoadedApp> => loadApp(dir, { dev: true });

async function version(): Promise<unknown> {
  const { manifest } = await load();
  return (manifest as { readonly version: string }).version;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pylon-watch-"));
  dir = join(folder, "apps/one");
  write({
    "shared/package.json": '{"name": "@acme/shared", "exports": "./src/index.ts"}',
    "shared/src/index.ts": 'export { LIMIT } from "./limit.ts";\n',
    "shared/src/limit.ts": "export const LIMIT = 1;\n",
    "shared/src/unused.ts": "export {};\n",
    "apps/one/app.ts": APP,
    "apps/one/words.txt": "a",
    "apps/one/lib/rank.ts": "export const rank = 1;\n",
    "apps/one/lib/late.ts": "export const late = 1;\n",
    "apps/one/functions/top.ts": FUNCTION,
    "apps/one/shards/_helper.ts": "export {};\n",
    "apps/one/ui/main.ts": "export {};\n",
    "apps/one/dist/old.js": "",
    "apps/one/web/index.html": '<script type="module" src="./main.ts"></script>',
    "apps/one/web/main.ts": 'import { color } from "../theme.ts";\nconsole.log(color);\n',
    "apps/one/theme.ts": 'export const color = "red";\n',
  });
  mkdirSync(join(folder, "node_modules/@acme"), { recursive: true });
  symlinkSync(join(folder, "shared"), join(folder, "node_modules/@acme/shared"));
  watched = new Watched();
});
afterEach(() => {
  watched.stop();
  rmSync(folder, { recursive: true, force: true });
});

test.each([
  ["apps/one/app.ts", APP, "app"],
  ["shared/src/limit.ts", "export const LIMIT = 2;\n", "app"],
  ["apps/one/words.txt", "b", "app"],
  ["apps/one/lib/rank.ts", "export const rank = 2;\n", "app"],
  ["apps/one/lib/late.ts", "export const late = 2;\n", "app"],
  ["apps/one/functions/new.ts", "export {};\n", "functions"],
  ["apps/one/functions/deep/new.ts", "export {};\n", "functions"],
  ["apps/one/shards/new.ts", "export {};\n", "app"],
  ["apps/one/workflows/new.ts", "export {};\n", "app"],
  ["apps/one/migrations/new.ts", "export {};\n", "app"],
  ["apps/one/package.json", "{}", "app"],
  ["apps/one/.env", "A=1\n", "env"],
  ["apps/one/public/a.txt", "a", "web"],
])("a save of %s is reported", async (path, text, part) => {
  write({ [path]: text });
  expect(await watched.next()).toBe(part);
});

// A report of them would also name the app, or come first.
test.each([
  "apps/one/dist/new.js",
  "apps/one/dist/assets/app.css",
  "apps/one/ui/main.ts",
  "apps/one/ui/data.json",
  "apps/one/notes.md",
  "apps/one/theme.ts",
  "apps/one/seed.json",
  "apps/one/shards/_helper.ts",
  "apps/one/functions/_unused.ts",
  "apps/one/functions/top.test.ts",
  "apps/one/node_modules/x/index.js",
  "apps/one/pylon.client.ts",
  "shared/src/unused.ts",
])("a save of %s, which no code of the app imports, is not reported", async (path) => {
  write({ [path]: "export const other = 1;\n" });
  write({ "apps/one/web/main.ts": "export {};\n" });
  expect(await watched.next()).toBe("web");
});

test("the removal of the app's folder is reported like any other change", async () => {
  rmSync(dir, { recursive: true });
  expect(await watched.next()).toContain("app");
});

test("what a package of the workspace exports is loaded again", async () => {
  expect(await version()).toBe("1a");
  write({ "shared/src/limit.ts": "export const LIMIT = 2;\n" });
  await watched.next();
  expect(await version()).toBe("2a");
  write({ "shared/src/limit.ts": 'export { LIMIT } from "./deeper/limit.ts";\n' });
  await watched.next();
  expect((await load()).manifest).toBeNull();
  mkdirSync(join(folder, "shared/src/deeper"));
  write({ "shared/src/limit.ts": 'export { LIMIT } from "./deeper-limit";\n' });
  await watched.next();
  write({ "shared/src/deeper-limit.ts": "export const LIMIT = 3;\n" });
  await watched.next();
  expect(await version()).toBe("3a");
  write({ "shared/src/deeper-limit.ts": "export const LIMIT = 4;\n" });
  await watched.next();
  expect(await version()).toBe("4a");
});

test("a folder outside of the app may be replaced, removed and created again", async () => {
  const index = 'export { LIMIT } from "./limit.ts";\n';
  const save = (limit: number): Promise<string> => {
    write({
      "shared/src/index.ts": index,
      "shared/src/limit.ts": `export const LIMIT = ${limit};`,
    });
    return watched.next();
  };
  const remove = (path: string): void => {
    rmSync(join(folder, path), { recursive: true });
  };
  remove("shared/src");
  expect(await save(2)).toBe("app");
  expect(await save(3)).toBe("app");
  expect(await version()).toBe("3a");
  remove("shared/src");
  expect(await watched.next()).toBe("app");
  expect(await save(4)).toBe("app");
  expect(await save(5)).toBe("app");
  expect(await version()).toBe("5a");
});

test("what the page imports is reported as a part of it once it is built", async () => {
  write({
    "apps/one/web/main.ts":
      'import { color } from "../theme.ts";\nimport { LIMIT } from "@acme/shared";\n' +
      "console.log(color, LIMIT);\n",
    "apps/one/app.ts": APP.replace("@acme/shared", "./limit.ts"),
    "apps/one/limit.ts": "export const LIMIT = 1;\n",
  });
  await watched.next();
  const before = (await load()).web;
  await before?.assets();
  write({ "apps/one/theme.ts": 'export const color = "blue";\n' });
  expect(await watched.next()).toBe("web");
  const after = (await load()).web;
  expect(after?.version).not.toBe(before?.version);
  await after?.assets();
  write({ "shared/src/limit.ts": "export const LIMIT = 2;\n" });
  expect(await watched.next()).toBe("web");
});
