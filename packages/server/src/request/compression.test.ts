import { expect, test } from "bun:test";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { array, assert, asyncProperty, constantFrom, property, string } from "fast-check";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { Compressor, compressNow, encodingFor, padding } from "./compression.ts";
import { pacedBody, pacedStream } from "./paced-answer.ts";
import { Transfers, type Transfer } from "./transfers.ts";
import { anyText } from "../../../../tests/support/any-text.ts";

const encodings = ["zstd", "br", "gzip"] as const;
const decode = {
  zstd: (bytes: Uint8Array) => zstdDecompressSync(bytes).toString(),
  br: (bytes: Uint8Array) => brotliDecompressSync(bytes).toString(),
  gzip: (bytes: Uint8Array) => gunzipSync(bytes).toString(),
};

function asking(headers: Readonly<Record<string, string>>): Request {
  return new Request("http://localhost/api", {
    headers: { "Accept-Encoding": "gzip, br, zstd", ...headers },
  });
}

test("only responses that no page of another site can request repeatedly are compressed", () => {
  for (const [headers, encoding] of [
    [{}, "zstd"],
    [{ Authorization: "Bearer t" }, "zstd"],
    [{ Authorization: "Bearer t", "Sec-Fetch-Site": "cross-site" }, "zstd"],
    [{ Cookie: "s=1", "Sec-Fetch-Site": "same-origin" }, "zstd"],
    [{ Cookie: "s=1" }, null],
    // A browser automatically sends the password that was typed into its own dialog.
    [{ Authorization: "Basic dTpw", "Sec-Fetch-Site": "cross-site" }, null],
    [{ Cookie: "s=1", "Sec-Fetch-Site": "same-site" }, null],
    [{ Cookie: "s=1", "Sec-Fetch-Site": "cross-site" }, null],
    [{ "Sec-Fetch-Site": "cross-site" }, null],
    [{ Cookie: "s=1", "Sec-Fetch-Site": "none" }, null],
    [{ "Accept-Encoding": "gzip" }, "gzip"],
    [{ "Accept-Encoding": "gzip, br" }, "br"],
    [{ "Accept-Encoding": "identity" }, null],
  ] as const)
    expect([headers, encodingFor(asking(headers))]).toEqual([headers, encoding]);
});

test("a response is padded by a random length", () => {
  expect([padding(0).length, padding(0.5).length, padding(1 - 2 ** -32).length]).toEqual([
    1, 65, 128,
  ]);
});

test("synchronously compressed text decompresses to the original", () => {
  assert(
    property(anyText({ maxLength: 500 }), constantFrom(...encodings), (text, by) => {
      expect(decode[by](compressNow(text, by))).toBe(
        new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text)),
      );
    }),
    { numRuns: 50 },
  );
});

test("a body compressed in chunks decompresses to the original, and none is held", async () => {
  const some = array(string({ unit: "grapheme", maxLength: 100_000 }), { maxLength: 5 });
  await assert(
    asyncProperty(some, constantFrom(...encodings), async (all, by) => {
      const transfers = new Transfers(1e9, new ManualPlatform(0));
      const pieces = all.values();
      const stream = pacedStream(
        { next: async () => pieces.next() as IteratorResult<string> },
        (abort) => transfers.open("key", abort),
        new Compressor(by),
      );
      expect(decode[by](await new Response(stream).bytes())).toBe(all.join(""));
      expect(transfers.total).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test("a response counts whole until it is compressed, and then as it is sent", async () => {
  const transfers = new Transfers(1e9, new ManualPlatform(0));
  const open = (abort: () => void): Transfer => transfers.open("key", abort);
  const reader = pacedBody("x".repeat(1_000_000), open, new Compressor("gzip")).getReader();
  expect(transfers.total).toBe(1_000_000);
  await reader.read();
  expect(transfers.total).toBeLessThan(10_000);
  await reader.cancel();
  expect(transfers.total).toBe(0);
});

test.each(encodings)("when the reader disconnects, the work of %s ends", async (by) => {
  const transfers = new Transfers(1e9, new ManualPlatform(0));
  const compressor = new Compressor(by);
  const stream = pacedStream(
    { next: async () => ({ value: crypto.randomUUID().repeat(10_000), done: false }) },
    (abort) => transfers.open("key", abort),
    compressor,
  );
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
  expect(transfers.total).toBe(0);
  expect(compressor.add(new Uint8Array(10))).rejects.toThrow();
  expect(compressor.end()).rejects.toThrow();
});

test("an error among the chunks aborts the response", async () => {
  const transfers = new Transfers(1e9, new ManualPlatform(0));
  let made = 0;
  const stream = pacedStream(
    {
      next: async () => {
        made += 1;
        if (made > 3) throw new Error("the store is gone");
        return { value: crypto.randomUUID().repeat(10_000), done: false };
      },
    },
    (abort) => transfers.open("key", abort),
    new Compressor("zstd"),
  );
  expect(new Response(stream).bytes()).rejects.toThrow("the store is gone");
});
