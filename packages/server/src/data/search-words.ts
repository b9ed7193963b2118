import { MAX_SEARCH_LENGTH, MAX_SEARCH_WORDS, PylonError } from "@pylonsync/protocol";

const WORD = /[\p{L}\p{N}\p{M}\p{Co}]+/gu;

/** A word of a text, and its position: characters of JavaScript from the start. */
export interface WordAt {
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Returns the words of a text that a user searches for, in lower case. Everything between them is
 * omitted, so it can't become part of a query's syntax.
 *
 * @param field the caller's name for the text
 * @throws PylonError INVALID_QUERY if it is too long
 */
export function searchedWords(text: string, field: string): string[] {
  if (text.length > MAX_SEARCH_LENGTH)
    throw new PylonError(
      "INVALID_QUERY",
      `A search query may have at most ${MAX_SEARCH_LENGTH} characters.`,
      { field, hint: "Search for fewer words." },
    );
  const words = [...new Set(Array.from(wordsOf(text), ({ word }) => word))];
  if (words.length > MAX_SEARCH_WORDS)
    throw new PylonError(
      "INVALID_QUERY",
      `A search query may have at most ${MAX_SEARCH_WORDS} words.`,
      {
        field,
        hint: "Search for fewer words.",
      },
    );
  return words;
}

/** All words of a text, in order, each read when it is needed. */
export function* wordsOf(text: string): Generator<WordAt> {
  for (const { 0: found, index } of text.toWellFormed().matchAll(WORD))
    yield {
      word: found.normalize("NFC").toLowerCase(),
      start: index,
      end: index + found.length,
    };
}

const ASCII = /^[\0-\x7f]*$/;

/** The word without its accents, as search compares words. */
export function withoutAccents(word: string): string {
  if (ASCII.test(word)) return word;
  return word
    .normalize("NFD")
    .replaceAll(/[\u0300-\u036f]/g, "")
    .normalize("NFC");
}
