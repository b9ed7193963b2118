import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compileApp } from "./compile-app.ts";
import { AppNotFoundError, loadApp, type LoadedApp } from "./load-app.ts";
import { functionNames } from "./load-functions.ts";

const dirs: string[] = [];

afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** Creates a new app folder outside of the repository, so that it has no packages. */
function appFolder(files: Readonly<Record<string, string>>): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "pylon-app-")));
  dirs.push(dir);
  write(dir, files);
  return dir;
}

function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}

const load = (dir: string): Promise<LoadedApp> => loadApp(dir, { dev: true });
const APP = `import { buildManifest, entity, field } from "@pylonsync/sdk";
const Todo = entity("Todo", { title: field.string() });
export default buildManifest({ name: "a", version: "1", entities: [Todo] });
`;
const fn = (result: string, more = ""): string =>
  `import { query } from "@pylonsync/functions";\n${more}` +
  `export default query({ handler: () => ${result} });\n`;

async function call(app: LoadedApp, name: string): Promise<unknown> {
  return await app.functions.get(name)?.handler({} as never, {} as never);
}

test("a folder without its own packages loads with the server's copies", async () => {
  const app = await load(appFolder({ "app.ts": APP, "functions/hello.ts": fn("'hi'") }));
  expect(app.diagnostics).toEqual([]);
  expect(app.manifest).toMatchObject({ name: "a", entities: [{ name: "Todo" }] });
  expect(await call(app, "hello")).toBe("hi");
});

test("such a folder may import every part of these packages", async () => {
  const parts = ["sdk", "functions", "workflows"].flatMap((name) => {
    const path = join(import.meta.dir, "..", "..", "..", name, "package.json");
    const { exports } = JSON.parse(readFileSync(path, "utf8")) as { readonly exports: object };
    return Object.keys(exports).map((part) => `@pylonsync/${name}${part.slice(1)}`);
  });
  expect(parts).toContain("@pylonsync/functions/plugins");
  const imports = parts.map((part, n) => `import * as part${n} from "${part}";\n`);
  const counts = parts.map((_, n) => `Object.keys(part${n}).length > 0`);
  const hello = `${imports.join("")}${fn(`[${counts.join(", ")}]`)}`;
  const app = await load(appFolder({ "app.ts": APP, "functions/hello.ts": hello }));
  expect(app.diagnostics).toEqual([]);
  expect(await call(app, "hello")).toEqual(parts.map(() => true));
});

test("an app.ts that prints its manifest is equivalent to one that exports it", async () => {
  const app = await load(
    appFolder({
      "app.ts": `${APP.replace("export default", "const m =")}
console.log("hello");
console.log(JSON.stringify(m, null, 2));
`,
    }),
  );
  expect(app.diagnostics).toEqual([]);
  expect(app.manifest).toMatchObject({ name: "a" });
});

test("helpers, tests, types and private folders of functions/ are not functions", async () => {
  const text = fn("1");
  const files = {
    "_helper.ts": text,
    "a.test.ts": text,
    "a.d.ts": "export {};\n",
    ".hidden.ts": text,
    "deep/_b.ts": text,
    "_deep/b.ts": text,
    "a.ts": text,
    "notes.md": "x",
  };
  const app = await load(
    appFolder({
      "app.ts": APP,
      ...Object.fromEntries(
        Object.entries(files).map(([name, body]) => [`functions/${name}`, body]),
      ),
    }),
  );
  expect([...app.functions.keys()]).toEqual(["a"]);
});

test("weakness 4: shards are loaded by their file names, and others are reported", async () => {
  const text = (more = ""): string =>
    'import { shard, v } from "@pylonsync/functions";\n' +
    `export default shard({ input: v.any(), init: () => 1, view: () => 1${more} });\n`;
  const app = await load(
    appFolder({
      "app.ts": APP,
      "shards/arena.ts": text(", tickRate: 30"),
      "shards/arena.js": text(),
      "shards/a.b.ts": text(),
      "shards/fast.ts": text(", tickRate: 1000"),
      "shards/none.ts": "export default 1;\n",
      "shards/_helper.ts": "export default 1;\n",
    }),
  );
  expect([...app.shards.keys()]).toEqual(["arena"]);
  expect(app.diagnostics).toMatchObject([
    { code: "SHARD_NAME", path: "shards/a.b.ts" },
    { code: "SHARD_DUPLICATE", path: "shards/arena.ts" },
    {
      code: "SHARD_FAILED",
      message: expect.stringContaining("tickRate must be a whole number from 0"),
    },
    { code: "SHARD_NO_EXPORT", path: "shards/none.ts" },
  ]);
});

test("workflows are loaded by their own names, and anything else is reported", async () => {
  const text = (name: string): string =>
    `import { workflow } from "@pylonsync/workflows";\n` +
    `export default workflow("${name}", () => 1);\n`;
  const app = await load(
    appFolder({
      "app.ts": APP,
      "workflows/a.ts": text("ship"),
      "workflows/b.ts": text("ship"),
      "workflows/c.ts": "export default 1;\n",
      "workflows/d.ts": "throw new Error('boom');\n",
      "workflows/_helper.ts": "export default 1;\n",
    }),
  );
  expect([...app.workflows].map(([name, { file }]) => [name, file])).toEqual([
    ["ship", "workflows/a.ts"],
  ]);
  expect(app.diagnostics).toMatchObject([
    { code: "WORKFLOW_DUPLICATE", path: "workflows/b.ts" },
    { code: "WORKFLOW_NO_EXPORT", path: "workflows/c.ts" },
    { code: "WORKFLOW_FAILED", path: expect.stringContaining("workflows/d.ts") },
  ]);
});

test("a saved file is loaded again, with the files it imports, and keeps no state", async () => {
  const dir = appFolder({
    "app.ts": APP,
    "functions/count.ts": fn(
      "[value, ++calls]",
      `import { value } from "./_value.ts";\nlet calls = 0;\n`,
    ),
    "functions/_value.ts": "export const value = 'old';\n",
  });
  const before = await load(dir);
  expect(await call(before, "count")).toEqual(["old", 1]);
  expect(await call(before, "count")).toEqual(["old", 2]);
  write(dir, { "functions/_value.ts": "export const value = 'new';\n" });
  const after = await load(dir);
  expect(await call(after, "count")).toEqual(["new", 1]);
  expect(await call(before, "count")).toEqual(["old", 3]);
});

test("a deleted function is gone after the next load", async () => {
  const dir = appFolder({ "app.ts": APP, "functions/a.ts": fn("1"), "functions/b.ts": fn("2") });
  await load(dir);
  rmSync(join(dir, "functions/a.ts"));
  expect([...(await load(dir)).functions.keys()]).toEqual(["b"]);
});

test("a file that does not parse is reported with its line, and the others load", async () => {
  const app = await load(
    appFolder({
      "app.ts": APP,
      "functions/bad.ts": "const a = 1;\nexport default (;\n",
      "functions/good.ts": fn("1"),
    }),
  );
  expect(app.diagnostics).toMatchObject([
    { severity: "error", code: "FUNCTION_FAILED", path: "functions/bad.ts:2:17" },
  ]);
  expect([...app.functions.keys()]).toEqual(["good"]);
});

test("a file with several syntax errors is reported with the first", async () => {
  const app = await load(
    appFolder({ "app.ts": APP, "functions/bad.ts": "const a = 1;\nsyntax error here (\n" }),
  );
  const [problem] = app.diagnostics;
  expect(problem?.path).toMatch(/^functions\/bad\.ts:2:\d+$/);
  expect(problem?.message).not.toContain("errors building");
});

test("a file that throws is reported with its line", async () => {
  const app = await load(
    appFolder({
      "app.ts": APP,
      "functions/bad.ts": "export const y = 1;\nthrow new Error('boom');\n",
    }),
  );
  expect(app.diagnostics).toMatchObject([
    {
      code: "FUNCTION_FAILED",
      path: "functions/bad.ts:2:11",
      message: "functions/bad.ts does not load: boom",
    },
  ]);
});

test("a fixed file loads", async () => {
  const dir = appFolder({ "app.ts": APP, "functions/a.ts": "export default (;\n" });
  expect((await load(dir)).diagnostics).toHaveLength(1);
  write(dir, { "functions/a.ts": fn("'ok'") });
  const app = await load(dir);
  expect(app.diagnostics).toEqual([]);
  expect(await call(app, "a")).toBe("ok");
});

test.each([
  ["a missing import", `import x from "./nope.ts";\nexport default x;\n`, "APP_FAILED"],
  ["no manifest", "export const x = 1;\n", "APP_NO_MANIFEST"],
])("an app.ts with %s is an error, not a crash", async (_what, text, code) => {
  const app = await load(appFolder({ "app.ts": text }));
  expect(app.diagnostics).toMatchObject([{ severity: "error", code }]);
});

test.each([
  ["does not parse", "export default {;\n", "APP_FAILED"],
  ["throws", "throw new Error('no');\n", "APP_FAILED"],
  ["exports nothing", "export {};\n", "APP_NO_MANIFEST"],
  ["exports an empty object", "export default {};\n", "APP_NO_MANIFEST"],
  ["exports null", "export default null;\n", "APP_NO_MANIFEST"],
])("an app.ts that %s is told once, with the reason", async (_what, text, code) => {
  const { app, diagnostics } = compileApp(await load(appFolder({ "app.ts": text })), { dev: true });
  expect(app).toBeNull();
  expect(diagnostics).toEqual([
    expect.objectContaining({ severity: "error", code, path: expect.stringMatching(/^app\.ts/) }),
  ]);
});

test("a file of functions without a function is named, and the app is served", async () => {
  const app = await load(
    appFolder({
      "app.ts": APP,
      "functions/half.ts": "export default { type: 'query' };\n",
      "functions/hello.ts": fn("'hello'"),
      "functions/util.ts": "export const shout = (text: string) => text.toUpperCase();\n",
    }),
  );
  const severity = "warning";
  expect(app.diagnostics).toMatchObject([
    { code: "FUNCTION_NO_EXPORT", severity, path: "functions/half.ts" },
    { code: "FUNCTION_NO_EXPORT", severity, path: "functions/util.ts" },
  ]);
  expect([...app.functions.keys()]).toEqual(["hello"]);
  expect(compileApp(app, { dev: false }).app).not.toBeNull();
  expect(await functionNames(join(app.dir, "functions"))).toEqual(["half", "hello"]);
});

test("a folder without app.ts is rejected with a remedy", () => {
  expect(load(appFolder({}))).rejects.toThrow(AppNotFoundError);
});

test("a function in a folder has the names of its folders in its name", async () => {
  const app = await load(
    appFolder({
      "app.ts": APP,
      "functions/messages/send.ts": fn("'sent'"),
      "functions/messages/old/purge.js": "export default { type: 'query', handler: () => 'gone' }",
      "functions/lib/format.ts": "export const format = () => { throw new Error('not loaded'); };",
      "functions/_private/skipped.ts": "throw new Error('not loaded');",
      "functions/.hidden/skipped.ts": "throw new Error('not loaded');",
    }),
  );
  expect(app.diagnostics).toEqual([]);
  expect([...app.functions.keys()].toSorted()).toEqual(["messages.old.purge", "messages.send"]);
  expect(app.functionFiles?.get("messages.send")).toBe("functions/messages/send.ts");
  expect(await call(app, "messages.send")).toBe("sent");
});

test("a file with the full name of a function in a folder is a duplicate", async () => {
  const app = await load(
    appFolder({
      "app.ts": APP,
      "functions/messages.send.ts": fn("1"),
      "functions/messages/send.ts": fn("2"),
    }),
  );
  expect(app.diagnostics).toMatchObject([{ code: "FUNCTION_DUPLICATE", severity: "error" }]);
  expect(app.diagnostics[0]?.hint).toContain("functions/messages");
});

test("a default export in a folder that is not a function is a warning", async () => {
  const app = await load(
    appFolder({ "app.ts": APP, "functions/lib/client.ts": "export default class Client {}" }),
  );
  expect(app.diagnostics).toMatchObject([{ code: "FUNCTION_NO_EXPORT", severity: "warning" }]);
});

test("folders below the eighth are ignored", async () => {
  const deep = "a/".repeat(8);
  const app = await load(
    appFolder({
      "app.ts": APP,
      [`functions/${deep}in.ts`]: fn("1"),
      [`functions/${deep}b/out.ts`]: fn("1"),
    }),
  );
  expect([...app.functions.keys()]).toEqual([`${deep.replaceAll("/", ".")}in`]);
});
