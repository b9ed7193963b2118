import { expect, test } from "bun:test";
import fc from "fast-check";
import { readMultipart } from "./multipart.ts";

const TYPE = "multipart/form-data; boundary=cut";

/** A form in chunks of the given size in bytes. */
async function* piecesOf(form: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < form.length; at += size) yield form.subarray(at, at + size);
}

function formOf(
  parts: readonly { readonly head: string; readonly body: Uint8Array | string }[],
): Buffer {
  const pieces = parts.flatMap(({ head, body }) => [
    Buffer.from(`--cut\r\n${head}\r\n\r\n`),
    Buffer.from(body),
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...pieces, Buffer.from("--cut--\r\n")]);
}

const FILE =
  'Content-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain';
const FIELD = 'Content-Disposition: form-data; name="title"';

async function contentOf(form: Buffer, size: number): Promise<Buffer> {
  const file = await readMultipart(TYPE, piecesOf(form, size));
  const chunks: Uint8Array[] = [];
  for await (const chunk of file.content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("the first file of a form is read unchanged, whatever the chunks", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 400 }),
      fc.integer({ min: 1, max: 300 }),
      async (body, size) => {
        fc.pre(!Buffer.from(body).includes("--cut"));
        const form = formOf([
          { head: FIELD, body: "before" },
          { head: FILE, body },
          { head: FILE, body: "another file" },
          { head: FIELD, body: "after" },
        ]);
        expect(await contentOf(form, size)).toEqual(Buffer.from(body));
      },
    ),
    { numRuns: 50 },
  );
});

test("a file has its name and type", async () => {
  const form = formOf([{ head: FILE.replace("a.txt", "../b.txt"), body: "x" }]);
  const { name, contentType } = await readMultipart(TYPE, piecesOf(form, 1000));
  expect([name, contentType]).toEqual(["b.txt", "text/plain"]);
});

test("a form without a file, and one that is malformed, are rejected", async () => {
  const invalid = { code: "INVALID_MULTIPART" };
  await expect(contentOf(formOf([{ head: FIELD, body: "x" }]), 10)).rejects.toMatchObject(invalid);
  await expect(contentOf(Buffer.from("nonsense"), 10)).rejects.toMatchObject(invalid);
  await expect(
    readMultipart("multipart/form-data", piecesOf(Buffer.from("x"), 1)),
  ).rejects.toMatchObject(invalid);
});

test("the content of a file ends without error only if the whole form does", async () => {
  const whole = formOf([{ head: FILE, body: "x".repeat(500) }]);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: whole.length - 9 }), async (length) => {
      await expect(contentOf(whole.subarray(0, length), 64)).rejects.toMatchObject({
        code: "INVALID_MULTIPART",
      });
    }),
    { numRuns: 40 },
  );
});
