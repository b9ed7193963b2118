import { expect, test } from "bun:test";
import fc from "fast-check";
import { systemPlatform } from "../../platform.ts";
import { Encryption } from "./encryption.ts";

test("a ciphertext is decrypted with the same secret, and differs each time", () => {
  const encryption = new Encryption("a secret", systemPlatform);
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 0xffff })), (codes) => {
      const written = String.fromCharCode(...codes).toWellFormed();
      const [one, other] = [encryption.seal(written), encryption.seal(written)];
      expect(one).not.toBe(other);
      expect([encryption.open(one), encryption.open(other)]).toEqual([written, written]);
      expect(new Encryption("a secret", systemPlatform).open(one)).toBe(written);
    }),
  );
});

test("a changed ciphertext, or one of another secret, is not decrypted", () => {
  const encryption = new Encryption("a secret", systemPlatform);
  const sealed = encryption.seal("the seed");
  expect(() => new Encryption("another", systemPlatform).open(sealed)).toThrow();
  fc.assert(
    fc.property(fc.nat({ max: sealed.length - 4 }), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const bytes = Buffer.from(sealed.slice(3), "base64url");
      const index = at % bytes.length;
      bytes[index] = (bytes[index] ?? 0) ^ by;
      expect(() => encryption.open(`v1.${bytes.toString("base64url")}`)).toThrow();
    }),
  );
  expect(() => encryption.open(sealed.slice(3))).toThrow("unknown encryption format");
});

test("a ciphertext of an earlier version is still decrypted", () => {
  const sealed = "v1.sLYHSfzrm2-uQYs4YgXzTP9bJa6fOIXqbhRaJaxQ-lReAhx5sghP8oQ";
  expect(new Encryption("a secret", systemPlatform).open(sealed)).toBe("sealed before");
});

test("without a secret nothing is encrypted", () => {
  const encryption = new Encryption(null, systemPlatform);
  expect(encryption.isOn).toBe(false);
  expect(() => encryption.seal("x")).toThrow("No encryption key");
});
