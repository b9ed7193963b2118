import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { MeteredContent, type ContentRules } from "./metered-content.ts";

async function* piecesOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Reads all of it. @returns the content */
async function readAll(content: MeteredContent): Promise<Buffer> {
  const passed: Uint8Array[] = [];
  for await (const chunk of content) passed.push(chunk);
  return Buffer.concat(passed);
}

const chunks = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 });

test("content that meets its rules passes through, counted and hashed", async () => {
  await fc.assert(
    fc.asyncProperty(chunks, async (pieces) => {
      const all = Buffer.concat(pieces);
      const checksum = createHash("sha256").update(all).digest("hex");
      const rules = { maxBytes: all.length, size: all.length, checksum };
      const content = new MeteredContent(piecesOf(pieces), rules);
      expect(await readAll(content)).toEqual(all);
      expect([content.size, content.checksum]).toEqual([all.length, checksum]);
    }),
  );
});

test("content that breaks a rule ends with an error", async () => {
  await fc.assert(
    fc.asyncProperty(chunks, fc.nat({ max: 40 }), async (pieces, bound) => {
      const { length } = Buffer.concat(pieces);
      fc.pre(length !== bound);
      const cases: [ContentRules, string][] = [
        [{ maxBytes: 1000, size: bound }, "INVALID_DATA"],
        [{ maxBytes: 1000, checksum: "0".repeat(64) }, "CHECKSUM_MISMATCH"],
      ];
      if (length > bound) cases.push([{ maxBytes: bound }, "PAYLOAD_TOO_LARGE"]);
      for (const [rules, code] of cases) {
        const content = new MeteredContent(piecesOf(pieces), rules);
        await expect(readAll(content)).rejects.toMatchObject({ code });
      }
    }),
  );
});
