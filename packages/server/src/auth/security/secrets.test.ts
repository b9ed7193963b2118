import { expect, test } from "bun:test";
import fc from "fast-check";
import { systemPlatform } from "../../platform.ts";
import { hashOf, isSameHash, keyOf, newToken } from "./secrets.ts";

test("a hash is the SHA-256 in hex", () => {
  expect(hashOf("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

test("no two lists of texts have the same key, however they are split", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (one, other) => {
      const isOne = JSON.stringify(one) === JSON.stringify(other);
      expect(keyOf(...one) === keyOf(...other)).toBe(isOne);
    }),
  );
  expect(keyOf("ab", "c")).not.toBe(keyOf("a", "bc"));
});

test("a token is 256 random bits that fit into a URL", () => {
  const tokens = Array.from({ length: 50 }, () => newToken(systemPlatform));
  expect(new Set(tokens).size).toBe(50);
  for (const token of tokens) expect(token).toMatch(/^[\w-]{43}$/);
  expect(newToken({ ...systemPlatform, random: (bytes) => bytes.fill(0) })).toBe("A".repeat(43));
});

test("hashes are equal if they are equal as texts", () => {
  const hash = fc.string({ maxLength: 4 });
  fc.assert(
    fc.property(hash, hash, (a, b) => {
      expect(isSameHash(a, b)).toBe(a === b);
      expect(isSameHash(a, a)).toBe(true);
    }),
  );
});
