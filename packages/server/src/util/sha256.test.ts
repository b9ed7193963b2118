import { expect, test } from "bun:test";
import fc from "fast-check";
import { hash } from "node:crypto";
import { sha256 } from "./sha256.ts";
import { anyText } from "../../../../tests/support/any-text.ts";

test("it is the same SHA-256 as Node's, for any text", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      expect(sha256(text)).toBe(hash("sha256", text, "hex"));
    }),
  );
});
