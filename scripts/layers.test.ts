import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../tests/support/run.ts";
import {
  faultsOf,
  foldersIn,
  packageEdges,
  PACKAGES,
  packagesIn,
  SERVER,
  serverEdges,
  type Import,
  type Layers,
} from "./layers.ts";

const dir = mkdtempSync(join(tmpdir(), "pylon-layers-test-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const imports = await importsOf();

async function importsOf(...args: string[]): Promise<readonly Import[]> {
  return JSON.parse(await run(["node", join(import.meta.dir, "imports.mjs"), ...args])) as Import[];
}

// If one of these fails, move the imported code to where it belongs: a type to the lower of the
// two, or a small interface that the lower one owns. If the edge is right, allow it in layers.ts.
test("packages import only what layers.ts allows", () => {
  expect(faultsOf(PACKAGES, packagesIn(imports), packageEdges(imports))).toEqual([]);
});

test("folders of the server import only what layers.ts allows", () => {
  expect(faultsOf(SERVER, foldersIn(imports), serverEdges(imports))).toEqual([]);
});

/** Violations of the layers: sources by path. */
const PLANTED: Readonly<Record<string, string>> = {
  "files/a.ts": `import { listen } from "../http/listener.ts";\nvoid listen;\n`,
  "store/sqlite/a.ts":
    'import type { Rooms } from "../../rooms/rooms.ts";\nexport type X = Rooms;\n',
  "store/a.ts": `export * from "../mail/mailer.ts";\n`,
  "schema/a.ts": `export { type Mailer } from "../mail/mailer.ts";\n`,
  "schema/b.ts": `import { systemPlatform } from "../platform.ts";\nvoid systemPlatform;\n`,
  "schema/c.ts": `import { chunk } from "../util/chunk.ts";\nvoid chunk;\n`,
  "auth/a.ts": `export const rooms = () => import("../rooms/rooms.ts");\n`,
  "data/a.ts": `export type X = import("../config/config.ts").Config;\n`,
  "data/b.ts": `// import "../http/a.ts"\nexport const x = 'import "../http/a.ts"';\n`,
  "observe/a.ts": `import "../auth/auth.ts";\n`,
  "functions/a.ts": `new Worker(new URL("../jobs/worker.ts", import.meta.url));\n`,
  "novel/a.ts": `import "../platform.ts";\n`,
  "platform.ts": `import "./server.ts";\n`,
  "files/a.test.ts": `import "../http/listener.ts";\n`,
  "files/testing/a.ts": `import "../../http/listener.ts";\n`,
};

test("planted edges are found: types, re-exports, dynamic imports, workers", async () => {
  write("packages/server/src", PLANTED);
  write("packages/sync/src", {
    "a.ts": `import type { Server } from "@pylonsync/server";\nexport type X = Server;\n`,
    "b.ts": `import "../../query/src/index.ts";\n`,
    "c.ts": `import "@pylonsync/query";\nimport "@pylonsync/protocol/errors";\n`,
  });
  const planted = await importsOf("--root", dir);
  const at = (faults: readonly string[]): string[] =>
    faults
      .filter((fault) => !fault.endsWith("nothing uses it."))
      .map((fault) => fault.replace("packages/server/src/", ""))
      .toSorted();
  expect(at(faultsOf(SERVER, foldersIn(planted), serverEdges(planted)))).toEqual([
    "auth/a.ts:1: auth may not import rooms.",
    "data/a.ts:1: data may not import config.",
    "files/a.ts:1: files may not import http.",
    "functions/a.ts:1: functions may not import jobs.",
    "novel is not in the allow-list.",
    "novel/a.ts:1: novel may not import platform.ts.",
    "observe/a.ts:1: observe may not import auth.",
    "platform.ts:1: platform.ts may not import server.ts.",
    "schema/a.ts:1: schema may not import mail.",
    "schema/b.ts:1: schema may not import platform.ts.",
    "store/a.ts:1: store may not import mail.",
    "store/sqlite/a.ts:1: store may not import rooms.",
  ]);
  expect(at(faultsOf(PACKAGES, packagesIn(planted), packageEdges(planted)))).toEqual([
    "packages/sync/src/a.ts:1: sync may not import server.",
    "packages/sync/src/b.ts:1: sync may not import query by its path.",
  ]);
});

test("an allowance must point downwards, and be used once there are sources", () => {
  const layers: Layers = {
    allowed: { top: "all below", a: ["b", "c"], b: ["a", "c"], c: ["c"], ground: [] },
    common: { ground: { notFor: ["c"] } },
  };
  const names = new Set(["top", "a", "b"]);
  const edge = (from: string, to: string) => ({ file: `${from}.ts`, line: 1, from, to });
  expect(faultsOf(layers, names, [edge("b", "a"), edge("top", "b"), edge("c", "ground")])).toEqual([
    "c.ts:1: c may not import ground.",
    "b -> a is allowed, and does not point downwards.",
    "c -> c is allowed, and does not point downwards.",
    "a -> b is allowed, and nothing uses it.",
  ]);
  expect(faultsOf(layers, names, [edge("b", "a"), edge("a", "b"), edge("a", "ground")])).toEqual([
    "b -> a is allowed, and does not point downwards.",
    "c -> c is allowed, and does not point downwards.",
  ]);
});

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
