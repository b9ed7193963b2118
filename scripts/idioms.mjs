// Phrases that are not plain English, which are found in texts for users, in comments and in the
// titles of tests.

/**
 * `isInCode`: also searched in comments and titles, where it causes no false alarms.
 *
 * @type {readonly { pattern: RegExp, instead: string, isInCode?: true }[]}
 */
const IDIOMS = [
  // "There is no X", "is no longer", "is no more than" and "is no other" are plain.
  {
    pattern: /(?<!\bthere )\b(?:is|are|was|were) no (?!longer\b|\w+ than\b|other\b|one\b)/i,
    instead: "is not a, is not an, are not",
    isInCode: true,
  },
  // `none` is a value too.
  { pattern: /(?<!\bthere )\b(?:is|are) none\b(?! of\b|,)/i, instead: "is not one" },
  { pattern: /\bno more\b(?! than\b)/i, instead: "no longer" },
  { pattern: /\banew\b/i, instead: "again", isInCode: true },
  { pattern: /\b(?:of|for|to|by|from|with) nobody\b/i, instead: "anonymous, without a user" },
  { pattern: /\bnobody but\b/i, instead: "only" },
  { pattern: /\bwhoever\b/i, instead: "a noun, such as the user", isInCode: true },
  { pattern: /\b(?:for|to|by|from|with|of|as) who\b/i, instead: "a noun, such as the user" },
  { pattern: /\bmakes? an account\b/i, instead: "create an account" },
  { pattern: /\b(?:is|are) good\b(?! for\b)/i, instead: "is valid" },
  { pattern: /\bmend(?:s|ed|ing)?\b/i, instead: "fix" },
  { pattern: /\bis (?:not )?possible here\b/i, instead: "is allowed here, is not allowed here" },
  { pattern: /\blets go\b/i, instead: "blocks" },
  { pattern: /\bwhat (?:else )?is said\b/i, instead: "a noun, such as the text" },
  { pattern: /\bfigures\b/i, instead: "metrics, stats" },
  { pattern: /\bto be had\b/i, instead: "available" },
];

/** The same, but a phrase may span several lines, and in comments their markers. */
const IN_TEXTS = IDIOMS.map((idiom) => broken(idiom, "\\s+"));
const IN_CODE = IDIOMS.filter(({ isInCode }) => isInCode).map((idiom) => broken(idiom, "[\\s*/]+"));

function broken({ pattern, instead }, gap) {
  return { pattern: new RegExp(pattern.source.replaceAll(" ", gap), pattern.flags), instead };
}

/**
 * The first idiom in a text for users.
 *
 * @param {string} text
 * @returns {{ phrase: string, instead: string, index: number } | null}
 */
export function idiomIn(text) {
  return first(text, IN_TEXTS);
}

/**
 * The first idiom anywhere in a source file.
 *
 * @param {string} text
 * @returns {{ phrase: string, instead: string, index: number } | null}
 */
export function idiomInCode(text) {
  return first(text, IN_CODE);
}

function first(text, idioms) {
  for (const { pattern, instead } of idioms) {
    const found = pattern.exec(text);
    if (found !== null) return { phrase: found[0], instead, index: found.index };
  }
  return null;
}
