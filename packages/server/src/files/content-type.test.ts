import { expect, test } from "bun:test";
import fc from "fast-check";
import { normaliseContentType, servedAs } from "./content-type.ts";

test("a media type is stored in lower case, with only its charset", () => {
  expect(normaliseContentType('Text/Plain; charset="UTF-8"; boundary=x')).toBe(
    "text/plain; charset=utf-8",
  );
  expect(normaliseContentType("image/png;x=y")).toBe("image/png");
  for (const odd of [null, "", "png", "image/", "a/b/c", "image/p\nng", "text/plain\r\nX: y"])
    expect(normaliseContentType(odd)).toBe("application/octet-stream");
});

test("a type that could contain a script is never shown inline, whatever its name", () => {
  for (const type of [
    "text/html",
    "image/svg+xml",
    "application/xhtml+xml",
    "text/xml",
    "image/x-html",
  ])
    expect(servedAs(type, false)).toEqual({
      contentType: "application/octet-stream",
      disposition: "attachment",
    });
  fc.assert(
    fc.property(fc.string().map(normaliseContentType), (type) => {
      const served = servedAs(type, false);
      if (served.disposition === "inline")
        expect(type).toMatch(/^(image|audio|video)\/|^text\/plain|^application\/pdf/);
    }),
  );
  expect(servedAs("text/plain; charset=utf-8", false).disposition).toBe("inline");
  expect(servedAs("image/png", true)).toEqual({
    contentType: "image/png",
    disposition: "attachment",
  });
});
