import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

// A binding contains only what is specific to its framework; the rest is in
// @pylonsync/sync/bindings.

const PACKAGES = join(import.meta.dir, "..", "..", "packages");
const MAX_LINES = 150;

/** The number of lines of a source that are neither blank nor a comment. */
function codeLines(source: string): number {
  return source
    .replaceAll(/\/\*\*[\s\S]*?\*\//g, "")
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.trim().startsWith("//")).length;
}

test.each(["vue", "svelte", "solid"])("the binding of %s has at most 150 lines", (name) => {
  const folder = join(PACKAGES, name, "src");
  const sources = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8"));
  const lines = sources.reduce((sum, source) => sum + codeLines(source), 0);
  expect(lines).toBeGreaterThan(50);
  expect(lines).toBeLessThanOrEqual(MAX_LINES);
});

test.each([
  ["vue", "useStatus", 1_000],
  ["svelte", "useStatus", 1_000],
  ["solid", "useStatus", 1_000],
])("of %s, a page bundles only the hooks that it imports", async (name, hook, maxBytes) => {
  const sizes = await Promise.all(
    [`{ ${hook} }`, "*"].map(async (imported) => {
      const { outputs } = await Bun.build({
        entrypoints: ["/page.ts"],
        files: { "/page.ts": `export ${imported} from "${join(PACKAGES, name, "src/index.ts")}";` },
        minify: true,
        target: "browser",
        external: ["vue", "svelte", "svelte/reactivity", "solid-js"],
      });
      return gzipSync((await outputs[0]?.text()) ?? "", { level: 9 }).length;
    }),
  );
  const [one = 0, all = 0] = sizes;
  expect(one).toBeGreaterThan(100);
  expect(one).toBeLessThanOrEqual(maxBytes);
  expect(all).toBeGreaterThan(10 * maxBytes);
});
