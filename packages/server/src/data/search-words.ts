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
  const words = [...new Set(wordsOf(text).map(({ word }) => word))];
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

/** All words of a text, in order. */
export function wordsOf(text: string): WordAt[] {
  return [...text.toWellFormed().matchAll(WORD)].map(({ 0: found, index }) => ({
    word: found.normalize("NFC").toLowerCase(),
    start: index,
    end: index + found.length,
  }));
}

/** The word without its accents, as search compares words. */
export function withoutAccents(word: string): string {
  return word
    .normalize("NFD")
    .replaceAll(/[\u0300-\u036f]/g, "")
    .normalize("NFC");
}
