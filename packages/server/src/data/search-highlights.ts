import { stemmer } from "stemmer";
import type { SearchIndex } from "../schema/search-index.ts";
import type { StoredRow, TextSearch } from "../store/store.ts";
import { isNearlySame } from "../util/nearly-same.ts";
import { withoutAccents, wordsOf, type WordAt } from "./search-words.ts";

/**
 * An excerpt of a text, and the places of the searched words in it: start and end, in characters.
 */
export interface Highlight {
  readonly text: string;
  readonly marks: readonly (readonly [start: number, end: number])[];
}

/** The highlights of one hit, by field; without the fields in which no word was found. */
export type Highlights = Readonly<Record<string, Highlight>>;

/** The maximum length of an excerpt, in characters. */
const LENGTH = 200;
/** The number of characters shown before the first word that was found. */
const BEFORE = 60;
/** The maximum number of characters of a text that are searched. */
const MAX_SEARCHED_CHARACTERS = 100_000;

/**
 * Returns the places of a search's words in its hits. They are positions instead of markup, so that
 * text written by users is never interpreted as markup.
 */
export function highlightsOf(
  rows: readonly StoredRow[],
  search: TextSearch | undefined,
): Highlights[] {
  if (search === undefined) return rows.map(() => ({}));
  const isFound = matcher(search);
  return rows.map((row) =>
    Object.fromEntries(
      search.index.fields.flatMap(({ name }) => {
        const value = row[name];
        const found = typeof value === "string" ? highlightOf(value, isFound) : undefined;
        return found === undefined ? [] : [[name, found]];
      }),
    ),
  );
}

function highlightOf(text: string, isFound: (word: string) => boolean): Highlight | undefined {
  const found = wordsOf(text.slice(0, MAX_SEARCHED_CHARACTERS)).filter(({ word }) => isFound(word));
  const [first] = found;
  if (first === undefined) return undefined;
  const start = startOf(text, first);
  const end = start + LENGTH;
  return {
    text: text.slice(start, end).toWellFormed(),
    marks: found
      .filter((word) => word.end <= end)
      .map((word) => [word.start - start, word.end - start]),
  };
}

/** Returns a place between two words, if there is one nearby. */
function startOf(text: string, { start }: WordAt): number {
  if (start <= BEFORE) return 0;
  const space = text.indexOf(" ", start - BEFORE);
  return space === -1 || space >= start ? start : space + 1;
}

function matcher({ words, index }: TextSearch): (word: string) => boolean {
  const wanted = words.map(withoutAccents);
  const last = wanted.at(-1) ?? "";
  const exact = new Set(wanted.map((word) => stemOf(word, index)));
  return (word) => {
    const plain = withoutAccents(word);
    if (exact.has(stemOf(plain, index)) || (index.prefix && plain.startsWith(last))) return true;
    return index.typos && wanted.some((one) => isNearlySame(one, plain));
  };
}

function stemOf(word: string, { language }: SearchIndex): string {
  return language === "english" ? stemmer(word) : word;
}
