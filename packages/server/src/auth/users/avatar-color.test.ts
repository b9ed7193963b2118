import { expect, test } from "bun:test";
import fc from "fast-check";
import { avatarColorOf } from "./avatar-color.ts";

test("the colour of a text is one of ten, and always the same", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.emailAddress(), (email) => {
      const color = avatarColorOf(email);
      expect(color).toMatch(/^#[0-9a-f]{6}$/);
      expect(avatarColorOf(email)).toBe(color);
      seen.add(color);
    }),
  );
  for (let number = 0; number < 300; number += 1) seen.add(avatarColorOf(`user${number}`));
  expect(seen.size).toBe(10);
});
