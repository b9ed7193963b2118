import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { noteApp, PylonProcess, TempFolder } from "../src/testing/pylon-process.ts";
import { TestClient, until } from "../../../tests/support/client.ts";
import { checkMerge } from "../../../tests/support/document-client.ts";
import {
  isolatesOf,
  isRunning,
  mergersOf,
  readersOf,
} from "../../../tests/support/reader-processes.ts";
import { ShardSocket } from "../../../tests/support/shard-socket.ts";
import { bundle, PROGRAMS } from "./bundle.ts";

// The command as it is published, in a folder with no package beside it.

const PACKAGES = join(import.meta.dir, "..", "..");
const folder = new TempFolder();
const COMMAND = [process.execPath, "--no-install", join(folder.path, "dist", "main.js")];
/** What a plain start loads that is not in the bundle: modules of the runtime that cost little. */
const START_MODULES = ["async_hooks", "bun:jsc", "bun:sqlite", "fs", "os", "path", "util"];

interface Imported {
  readonly path: string;
  readonly kind: string;
}
let metafile: Bun.BuildMetafile | undefined;

beforeAll(async () => {
  for (const name of Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[]) {
    const built = await bundle(name, join(folder.path, "dist"));
    if (name === "main") metafile = built.metafile;
  }
}, 60_000);
afterAll(() => folder[Symbol.dispose]());

test("what `pylon start` imports at once is without the modules that only some apps use", () => {
  const { files, others } = importedAtOnce("src/main.ts", "commands/start.ts");
  expect(files.length).toBeGreaterThan(200);
  expect([...others].toSorted()).toEqual(START_MODULES);
  const lazy = /otlp-|postgres-store|s3-storage|multipart|prom-client|commands\/(?!start\.)/;
  expect(files.filter((file) => lazy.test(file))).toEqual([]);
});

test("a function runs in a process of its own, which is bundled too", async () => {
  using app = new TempFolder();
  app.write({
    "app.ts": noteApp("text: field.string()"),
    "functions/where.ts": `
      import { query } from "@pylonsync/functions";
      export default query({
        isolate: true,
        handler: async (ctx) => ({ pid: process.pid, count: await ctx.db.count("Note") }),
      });`,
  });
  await using server = new PylonProcess(["start", "--port", "0"], app.path, {}, COMMAND);
  const { port } = await server.event();
  const answer = await fetch(`http://127.0.0.1:${Number(port)}/api/fn/where`, { method: "POST" });
  const where: unknown = await answer.json();
  expect(where).toEqual({ pid: expect.any(Number), count: 0 });
  expect((where as { readonly pid: number }).pid).not.toBe(server.pid);
  expect(isolatesOf(server.pid)).not.toEqual([]);
});

test("a shard runs on a thread of its own, whose code is bundled too", async () => {
  using app = new TempFolder();
  app.write({
    "app.ts": noteApp("text: field.string()"),
    "shards/where.ts": `
      import { isMainThread } from "node:worker_threads";
      import { shard, v } from "@pylonsync/functions";
      export default shard({
        isolate: true, input: v.any(), init: () => ({}), view: () => ({ isMainThread }),
      });`,
  });
  await using server = new PylonProcess(["start", "--port", "0"], app.path, {}, COMMAND);
  const { port } = await server.event();
  const url = `http://127.0.0.1:${Number(port)}`;
  const { userId, token } = await TestClient.guest(url);
  const socket = await new ShardSocket(url, { shard: "where", sid: userId, token }).joined();
  expect(socket.view).toEqual({ isMainThread: false });
  socket.close();
});

test("a plain app is served, written to and read from without any package", async () => {
  folder.write({
    "plain/app.ts": noteApp("text: field.string()"),
    "plain/functions/hello.ts": `import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { text: v.string() }, handler: async (ctx, args) => {
  await ctx.db.insert("Note", args);
  return (await ctx.db.query("Note")).length;
} });
`,
  });
  await using server = new PylonProcess(
    ["start", "plain", "--port", "0"],
    folder.path,
    {},
    COMMAND,
  );
  const { port } = await server.event();
  expect(await call(port, { text: "a" })).toBe(1);
  // No index answers it, so a reader process does, which is a program of the bundle too.
  const answer = await fetch(`http://localhost:${String(port)}/api/query/Note`, {
    method: "POST",
    body: JSON.stringify({ text: { $like: "x" } }),
  });
  expect(await answer.json()).toEqual([]);
  const readers = readersOf(server.pid);
  expect(readers).toHaveLength(1);
  expect(await server.end()).toBe(0);
  await until(() => !readers.some(isRunning));
  expect(await server.stderr).not.toContain("rror");
});

test("an app's own copies of the packages count: definitions, hooks, errors", async () => {
  folder.write({
    "own/app.ts": `import { buildManifest, definePlugin, entity, field } from "@pylonsync/sdk";
export default buildManifest({
  name: "own", version: "1.0.0", access: "public",
  entities: [entity("Note", { text: field.string() })],
  plugins: [definePlugin({
    name: "trim", hooks: { beforeInsert: (data) => ({ ...data, text: data.text.trim() }) },
  })],
});
`,
    "own/functions/hello.ts": `import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { text: v.string() }, handler: async (ctx, { text }) => {
  if (text === "") throw ctx.error("EMPTY_TEXT", "A note has a text.");
  const id = await ctx.db.insert("Note", { text });
  return (await ctx.db.get("Note", id)).text;
} });
`,
  });
  const own = join(folder.path, "own", "node_modules", "@pylonsync");
  mkdirSync(own, { recursive: true });
  for (const name of ["sdk", "functions"]) symlinkSync(join(PACKAGES, name), join(own, name));
  await using server = new PylonProcess(["start", "own", "--port", "0"], folder.path, {}, COMMAND);
  const { port } = await server.event();
  expect(await call(port, { text: " a " })).toBe("a");
  expect(await call(port, { text: 1 })).toMatchObject({ error: { code: "INVALID_ARGS" } });
  expect(await call(port, { text: "" })).toMatchObject({ error: { code: "EMPTY_TEXT" } });
  expect(await server.end()).toBe(0);
});

test("documents are merged in a process of the bundle, with the package beside it", async () => {
  const modules = join(folder.path, "node_modules");
  mkdirSync(modules, { recursive: true });
  symlinkSync(join(PACKAGES, "..", "node_modules", "loro-crdt"), join(modules, "loro-crdt"));
  folder.write({ "texts/app.ts": noteApp("text: field.richtext()") });
  await using server = new PylonProcess(
    ["start", "texts", "--port", "0"],
    folder.path,
    {},
    COMMAND,
  );
  const { port } = await server.event();
  await checkMerge(await TestClient.guest(`http://127.0.0.1:${Number(port)}`));
  expect(mergersOf(server.pid)).toHaveLength(1);
  expect(await server.end()).toBe(0);
});

/** Calls the function `hello`. */
async function call(port: unknown, args: unknown): Promise<unknown> {
  const answer = await fetch(`http://localhost:${String(port)}/api/fn/hello`, {
    method: "POST",
    body: JSON.stringify(args),
  });
  return answer.json();
}

/** The static closure of some modules of the bundle: its files, and what is not in it. */
function importedAtOnce(...entries: readonly string[]): {
  readonly files: readonly string[];
  readonly others: ReadonlySet<string>;
} {
  const inputs: Readonly<Record<string, { readonly imports: readonly Imported[] }>> =
    metafile?.inputs ?? {};
  const files = new Set(
    Object.keys(inputs).filter((path) => entries.some((entry) => path.endsWith(entry))),
  );
  const others = new Set<string>();
  for (const file of files)
    for (const { path, kind } of inputs[file]?.imports ?? []) {
      if (kind === "dynamic-import") continue;
      if (inputs[path] !== undefined) files.add(path);
      // What has types alone is in no bundle.
      else if (!path.endsWith(".ts")) others.add(path.replace(/^node:/, ""));
    }
  return { files: [...files], others };
}
