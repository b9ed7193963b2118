import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodedBytes, isOfFormat } from "./text-format.ts";

test("a day is a date of the calendar, in the sortable form", () => {
  const day = fc.date({
    min: new Date("0001-01-01T00:00:00Z"),
    max: new Date("9999-12-31T00:00:00Z"),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(
      day,
      fc.integer({ min: 1, max: 13 }),
      fc.integer({ min: 0, max: 32 }),
      (at, m, d) => {
        const text = at.toISOString().slice(0, 10);
        expect(isOfFormat("date", text)).toBe(true);
        expect(isOfFormat("date", at.toISOString())).toBe(false);
        const two = (part: number): string => String(part).padStart(2, "0");
        const isDay = m <= 12 && d >= 1 && d <= new Date(Date.UTC(2025, m, 0)).getUTCDate();
        expect(isOfFormat("date", `2025-${two(m)}-${two(d)}`)).toBe(isDay);
      },
    ),
  );
});

test("bytes are base64, and each value has only one form", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.string({ maxLength: 8 }), (bytes, text) => {
      const base64 = Buffer.from(bytes).toString("base64");
      expect(isOfFormat("bytes", base64)).toBe(true);
      expect(decodedBytes(base64)).toBe(bytes.length);
      const again = Buffer.from(text, "base64").toString("base64");
      expect(isOfFormat("bytes", text)).toBe(again === text);
    }),
  );
});

test("a URL is one that a page may link to", () => {
  fc.assert(
    fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), (url) => {
      expect(isOfFormat("url", url)).toBe(true);
      expect(isOfFormat("url", url.replace(/^https?/, "javascript"))).toBe(false);
      expect(isOfFormat("url", `${url} `)).toBe(false);
    }),
  );
});

test("an email address is one that can receive mail, without surrounding spaces", () => {
  fc.assert(
    fc.property(fc.emailAddress(), (address) => {
      expect(isOfFormat("email", ` ${address}`)).toBe(false);
      expect(isOfFormat("email", address.replace("@", ""))).toBe(false);
    }),
  );
  expect(isOfFormat("email", "Ada.Lovelace+x@example.co.uk")).toBe(true);
});
