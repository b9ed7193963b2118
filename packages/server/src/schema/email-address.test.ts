import { expect, test } from "bun:test";
import { parseEmail } from "./email-address.ts";

const LONG_LABEL = "a".repeat(63);

test.each([
  ["ann@example.com", "ann@example.com"],
  [" Ann@Example.COM ", "ann@example.com"],
  ["mary.o'brien@example.com", "mary.o'brien@example.com"],
  ["r&d@example.com", "r&d@example.com"],
  ["bounce+user=host@example.com", "bounce+user=host@example.com"],
  ["!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"],
  ["_@example.com", "_@example.com"],
  ["1@1.example", "1@1.example"],
  ["info@xn--mnchen-3ya.de", "info@xn--mnchen-3ya.de"],
  ["info@münchen.de", "info@xn--mnchen-3ya.de"],
  ["INFO@MÜNCHEN.DE", "info@xn--mnchen-3ya.de"],
  ["info@mu\u0308nchen.de", "info@xn--mnchen-3ya.de"],
  ["josé@example.com", "josé@example.com"],
  ["JOSE\u0301@example.com", "josé@example.com"],
  ["用户@例え.jp", "用户@xn--r8jz45g.jp"],
  ["a@b.co.uk", "a@b.co.uk"],
  ["a@sub-domain.example.museum", "a@sub-domain.example.museum"],
  [`${"a".repeat(64)}@example.com`, `${"a".repeat(64)}@example.com`],
  [`a@${LONG_LABEL}.com`, `a@${LONG_LABEL}.com`],
])("U: %p is an address, stored as %p", (text, kept) => {
  expect(parseEmail(text)).toBe(kept);
  expect(parseEmail(kept)).toBe(kept);
});

test.each([
  "",
  "@",
  "ann",
  "@example.com",
  "ann@",
  "ann@localhost",
  "ann@example",
  "ann@.com",
  "ann@example..com",
  "ann@example.com.",
  "ann@-example.com",
  "ann@example-.com",
  "ann@exa_mple.com",
  "ann@exa mple.com",
  "ann@example.com/x",
  "ann@example.com:25",
  "ann@example.com?x=y",
  "ann@a%62.com",
  "ann@[127.0.0.1]",
  "ann@127.0.0.1",
  "ann@1.2",
  ".ann@example.com",
  "ann.@example.com",
  "a..n@example.com",
  "a nn@example.com",
  "a\tnn@example.com",
  "ann\r\nBcc: eve@example.com",
  "ann@example.com\r\nBcc: eve@example.com",
  "ann@eve@example.com",
  "a,b@example.com",
  "<ann@example.com>",
  "Ann <ann@example.com>",
  '"ann"@example.com',
  "a(b)@example.com",
  "a\\b@example.com",
  "a\u200bnn@example.com",
  "a\u202enn@example.com",
  "😀@example.com",
  `${"a".repeat(65)}@example.com`,
  `${"é".repeat(33)}@example.com`,
  `ann@${LONG_LABEL}a.com`,
  `ann@${`${LONG_LABEL}.`.repeat(4)}com`,
])("U: %p is not an address", (text) => {
  expect(parseEmail(text)).toBeNull();
});

test("U: a letter that only looks like an ASCII letter is not treated as one", () => {
  // The Kelvin sign, and the capital I with a dot above.
  expect(parseEmail("mi\u212ae@example.com")).toBeNull();
  expect(parseEmail("m\u0130ke@example.com")).toBeNull();
  expect(parseEmail("m\u0131ke@example.com")).toBe("m\u0131ke@example.com");
});
