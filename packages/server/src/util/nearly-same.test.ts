import { expect, test } from "bun:test";
import fc from "fast-check";
import { nearlySameAs } from "./nearly-same.ts";

/** Returns all words that are one edit away from a word, by trying each edit. */
function neighbours(word: string): Set<string> {
  const found = new Set([word]);
  for (let at = 1; at <= word.length; at += 1) {
    const [before, after] = [word.slice(0, at), word.slice(at)];
    found.add(before + after.slice(1));
    for (const letter of "abc") {
      found.add(before + letter + after);
      if (after !== "") found.add(before + letter + after.slice(1));
    }
    if (after.length > 1) found.add(`${before}${after[1]}${after[0]}${after.slice(2)}`);
  }
  return found;
}

test("a word is nearly another if one edit after its first letter leads to it", () => {
  const words = fc.stringMatching(/^[abc]{1,7}$/);
  fc.assert(
    fc.property(words, words, (wanted, word) => {
      const expected = wanted.length >= 4 && neighbours(wanted).has(word);
      return nearlySameAs(wanted)(word) === expected;
    }),
    { numRuns: 5_000 },
  );
  for (const word of ["documnt", "docuument", "document", "dokument", "docuemnt"])
    expect([word, nearlySameAs("document")(word)]).toEqual([word, true]);
  expect(nearlySameAs("cat")("cut")).toBe(false);
  expect(nearlySameAs("hello")("jello")).toBe(false);
});
