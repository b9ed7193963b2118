/**
 * Folds the case of letters, one code point to another, according to Unicode's simple case folding.
 * A letter that folds to several (`ß` to `ss`) is only equal to its other single form (`ẞ`).
 * Accents matter: `é` equals `É`, but never `e`. The text keeps its length, so positions in it stay
 * valid.
 *
 * @module
 */

/**
 * Pairs that upper and lower case do not reveal: Turkish letters without a dot are not a case
 * variant of those with one, and some letters are in Unicode twice.
 */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ["\u0131", "\u0131"],
  ["\u1fd3", "\u0390"],
  ["\u1fe3", "\u03b0"],
  ["\ufb05", "\ufb06"],
]);
/** All letters with two cases are below this code point. */
const END = 0x20000;
const ASCII = /^[\0-\x7f]*$/;

/** The text with one case for all letters that differ only in case. */
export function foldCase(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  let folded = "";
  for (const letter of text) folded += foldLetter(letter);
  return folded;
}

function foldLetter(letter: string): string {
  const exception = EXCEPTIONS.get(letter);
  if (exception !== undefined) return exception;
  const upper = single(letter, letter.toUpperCase());
  return single(upper, upper.toLowerCase());
}

function single(letter: string, changed: string): string {
  return Array.from(changed).length === 1 ? changed : letter;
}

let variants: ReadonlyMap<string, readonly string[]> | undefined;

/** All letters that fold to the same one as this letter, including itself. */
export function caseVariants(letter: string): readonly string[] {
  variants ??= allVariants();
  return variants.get(foldLetter(letter)) ?? [letter];
}

function allVariants(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (let code = 0; code < END; code += 1) {
    const letter = String.fromCodePoint(code);
    const folded = foldLetter(letter);
    if (folded === letter) continue;
    const group = found.get(folded);
    if (group === undefined) found.set(folded, [folded, letter]);
    else group.push(letter);
  }
  return found;
}
