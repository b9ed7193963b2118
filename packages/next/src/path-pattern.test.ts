import { expect, test } from "bun:test";
import fc from "fast-check";
import { pathPattern } from "./path-pattern.ts";

const SEGMENT = fc.stringMatching(/^[a-z0-9._~$+-]{1,8}$/);

test("a path matches itself, with or without a trailing slash, and no longer path", () => {
  fc.assert(
    fc.property(fc.array(SEGMENT, { minLength: 1, maxLength: 4 }), SEGMENT, (segments, more) => {
      const path = `/${segments.join("/")}`;
      const matches = pathPattern(path);
      expect([matches(path), matches(`${path}/`), matches(`${path}/${more}`)]).toEqual([
        true,
        true,
        false,
      ]);
    }),
  );
});

test("a parameter matches one segment, a star any number, a plus one or more", () => {
  fc.assert(
    fc.property(fc.array(SEGMENT, { maxLength: 4 }), (segments) => {
      const path = ["/docs", ...segments].join("/");
      expect([":one", ":any*", ":more+"].map((last) => pathPattern(`/docs/${last}`)(path))).toEqual(
        [segments.length === 1, true, segments.length > 0],
      );
    }),
  );
});

test("does not match a path whose name only starts with the pattern", () => {
  expect(pathPattern("/blog/:path*")("/blogs")).toBe(false);
  expect(pathPattern("/")("/")).toBe(true);
  expect(pathPattern("/")("/a")).toBe(false);
});

test.each(["about", "/a(b)", "/a*", "/:id?x:y"])("%p is rejected", (pattern) => {
  expect(() => pathPattern(pattern)).toThrow(/is not supported|must begin|is not a path/);
});
