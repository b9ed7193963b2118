import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { join } from "node:path";

// What the client adds to a page, minified and compressed. It may become smaller; whoever makes it
// so moves the limit. What is loaded later, as the parser of event streams is, counts by itself.

const cache = join(import.meta.dir, "../node_modules/.cache");
mkdirSync(cache, { recursive: true });
const dir = mkdtempSync(join(cache, "bundle-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Bytes of a page's bundle, and of what it loads later. */
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
  // A chunk that is imported is there from the beginning; one of `import()` comes later.
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
  ["the whole of the engine's package", 'export * from "@pylonsync/sync"', 36_600, 2_000],
  ["an engine", 'export { createSyncEngine } from "@pylonsync/sync"', 34_900, 2_000],
  ["the hooks of db", 'export { db } from "@pylonsync/react"', 39_100, 3_000],
  // What a page does not import costs it nothing.
  ["one hook", 'export { useQuery } from "@pylonsync/react"', 900, 0],
  ["lists that grow", 'export { useInfiniteQuery } from "@pylonsync/react"', 1_300, 0],
  ["the manifest's functions", 'export { defineRoute } from "@pylonsync/sdk"', 100, 0],
])("%s stays as small as it is", async (name, page, maxNow, maxLater) => {
  const { now, later } = await sizesOf(name, page);
  expect(now).toBeGreaterThan(0);
  expect(now).toBeLessThanOrEqual(maxNow);
  expect(later).toBeLessThanOrEqual(maxLater);
});
