import { expect, test } from "bun:test";
import { caseVariants, foldCase } from "./case-fold.ts";

const LETTERS = Array.from({ length: 0x20000 }, (_, code) => code)
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code));

/**
 * Whether the engine's own regular expressions treat both as the same letter, by Unicode's folding.
 */
function isSameLetter(a: string, b: string): boolean {
  return new RegExp(`^\\u{${(a.codePointAt(0) ?? 0).toString(16)}}$`, "iu").test(b);
}

test("letters are paired as Unicode's simple case folding pairs them", () => {
  const cased = LETTERS.filter((letter) => /\p{Changes_When_Casemapped}/u.test(letter));
  for (const letter of cased) {
    const variants = caseVariants(letter);
    expect(variants).toContain(letter);
    for (const variant of variants)
      expect([letter, variant, isSameLetter(letter, variant)]).toEqual([letter, variant, true]);
    for (const other of [letter.toUpperCase(), letter.toLowerCase()])
      if (Array.from(other).length === 1 && isSameLetter(letter, other))
        expect(variants).toContain(other);
  }
});

test("folding keeps the number of letters, and folding again changes nothing", () => {
  for (const letter of LETTERS) {
    const folded = foldCase(letter);
    expect(Array.from(folded)).toHaveLength(1);
    if (folded !== letter) expect(foldCase(folded)).toBe(folded);
  }
});

test("accents, the sharp s and Turkish letters differ; final sigma and Kelvin do not", () => {
  expect(foldCase("STRASSE")).not.toBe(foldCase("straße"));
  expect(foldCase("STRAẞE")).toBe(foldCase("straße"));
  expect(foldCase("É")).not.toBe(foldCase("e"));
  expect(foldCase("ΟΔΟΣ")).toBe(foldCase("οδος"));
  expect(foldCase("İ")).not.toBe(foldCase("i"));
  expect(foldCase("ı")).not.toBe(foldCase("i"));
  expect(foldCase("\u212A")).toBe("k");
});
