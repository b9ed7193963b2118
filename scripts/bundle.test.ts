import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { join } from "node:path";

// The size that the client adds to a page, minified and compressed. A change that reduces it lowers
// the limit. A page loads the first part before it shows anything. The code for the connection, for
// the disk and for the schema that both receive is loaded in parallel with the first request, so
// it adds no round trip; but the first rows wait for it, so it counts below as loaded "now". The
// rest, such as the sender of writes, is loaded once there is a connection, or when it is used.
// `tests/browser/deployment.test.ts` checks that a page without it shows rows, in both modes.

const cache = join(import.meta.dir, "../node_modules/.cache");
mkdirSync(cache, { recursive: true });
const dir = mkdtempSync(join(cache, "bundle-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const ENGINE = 'export { createSyncEngine } from "@pylonsync/sync"; ';
const SOURCE = join(import.meta.dir, "../packages/sync/src");
/** The modules that a started engine loads automatically. */
const STARTED =
  ENGINE +
  `export { Online } from "${SOURCE}/engine/online.ts"; ` +
  `export { persistenceOf } from "${SOURCE}/persistence/kept.ts"; `;
const QUERY_MODE = `export { QueryMode } from "${SOURCE}/queries/query-mode.ts";`;

/** The sizes in bytes of a page's bundle, and of the code that it loads later. */
async function sizesOf(name: string, page: string): Promise<{ now: number; later: number }> {
  const entry = join(dir, `${name}.ts`);
  writeFileSync(entry, page);
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    minify: true,
    splitting: true,
    target: "browser",
    external: ["react"],
  });
  const sizes = { now: 0, later: 0 };
  const texts = new Map<string, string>();
  for (const output of outputs) texts.set(output.path.slice(2), await output.text());
  // An imported chunk is loaded at the start; one of `import()` later.
  const wanted = [...outputs].filter(({ kind }) => kind === "entry-point").map(({ path }) => path);
  const seen = new Set<string>();
  for (const path of wanted) {
    const text = texts.get(path.slice(2));
    if (text === undefined || seen.has(path)) continue;
    seen.add(path);
    sizes.now += gzipSync(text, { level: 9 }).length;
    for (const [, chunk] of text.matchAll(/(?:from|import)"(\.\/[^"]+)"/g))
      if (chunk !== undefined) wanted.push(chunk);
  }
  for (const [path, text] of texts)
    if (!seen.has(`./${path}`)) sizes.later += gzipSync(text, { level: 9 }).length;
  return sizes;
}

test.each([
  ["the whole of the engine's package", 'export * from "@pylonsync/sync"', 25_320, 35_400],
  ["an engine", ENGINE, 21_650, 37_200],
  // All that is loaded before its first row.
  ["an engine that is started", STARTED, 37_180, 18_900],
  ["an engine that is started, and asks for single queries", STARTED + QUERY_MODE, 42_080, 13_680],
  ["the hooks of db", 'export { db } from "@pylonsync/react"', 25_890, 39_980],
  // What a page does not import costs it nothing.
  ["one hook", 'export { useQuery } from "@pylonsync/react"', 800, 0],
  ["lists that grow", 'export { useInfiniteQuery } from "@pylonsync/react"', 1_100, 0],
  ["the manifest's functions", 'export { defineRoute } from "@pylonsync/sdk"', 100, 0],
])("%s does not grow", async (name, page, maxNow, maxLater) => {
  const { now, later } = await sizesOf(name, page);
  expect(now).toBeGreaterThan(0);
  expect(now).toBeLessThanOrEqual(maxNow);
  expect(later).toBeLessThanOrEqual(maxLater);
});

test("the devtools are in no page that does not import them", async () => {
  const entry = join(dir, "all-of-react.ts");
  writeFileSync(entry, 'export * from "@pylonsync/react";');
  const { outputs } = await Bun.build({ entrypoints: [entry], external: ["react"] });
  const text = (await Promise.all(outputs.map((output) => output.text()))).join("");
  expect([text.includes("useQuery"), text.includes("pylon-devtools")]).toEqual([true, false]);
});

test("React adds at most 4.3 kB to the engine", async () => {
  const engine = await sizesOf("engine", ENGINE);
  const withHooks = await sizesOf("with-hooks", `${ENGINE} export { db } from "@pylonsync/react";`);
  expect(withHooks.now - engine.now).toBeLessThanOrEqual(4_300);
});
