import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { join } from "node:path";

// What the client's engine adds to a page. It may become smaller; whoever makes it so moves the
// limit. What is loaded later, as the parser of event streams is, counts by itself.

/**
 * Bytes of the whole of `@pylonsync/sync` with what it imports, minified and compressed; 1,450 of
 * them are live functions.
 */
const MAX_BYTES = 34_500;
/** Of what is loaded later. */
const MAX_LATER_BYTES = 2_000;

test("the client's engine stays as small as it is", async () => {
  const entry = join(import.meta.dir, "../packages/sync/src/index.ts");
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    minify: true,
    splitting: true,
    target: "browser",
  });
  const sizes = await Promise.all(
    outputs.map(async (output) => ({
      kind: output.kind,
      bytes: gzipSync(await output.text(), { level: 9 }).length,
    })),
  );
  const bytesOf = (isEntry: boolean): number =>
    sizes
      .filter(({ kind }) => (kind === "entry-point") === isEntry)
      .reduce((sum, { bytes }) => sum + bytes, 0);
  expect(bytesOf(true)).toBeGreaterThan(0);
  expect(bytesOf(true)).toBeLessThanOrEqual(MAX_BYTES);
  expect(bytesOf(false)).toBeLessThanOrEqual(MAX_LATER_BYTES);
});
