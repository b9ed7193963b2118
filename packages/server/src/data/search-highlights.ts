import { stemmer } from "stemmer";
import type { SearchIndex } from "../schema/search-index.ts";
import type { StoredRow, TextSearch } from "../store/store.ts";
import { nearlySameAs } from "../util/nearly-same.ts";
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
 * The maximum number of characters that are searched for one response, except for the beginning of
 * each text: the first word that is found may be far from the start of many long texts.
 */
const MAX_CHARACTERS_OF_RESPONSE = 500_000;
/** The maximum number of different words whose outcome is remembered. */
const MAX_REMEMBERED = 10_000;

/**
 * Returns the places of a search's words in its hits. They are positions instead of markup, so that
 * text written by users is never interpreted as markup.
 */
export function highlightsOf(
  rows: readonly StoredRow[],
  search: TextSearch | undefined,
): Highlights[] {
  if (search === undefined) return rows.map(() => ({}));
  const highlighter = new Highlighter(search);
  return rows.map((row) =>
    Object.fromEntries(
      search.index.fields.flatMap(({ name }) => {
        const value = row[name];
        const found = typeof value === "string" ? highlighter.of(value) : undefined;
        return found === undefined ? [] : [[name, found]];
      }),
    ),
  );
}

/** Searches the texts of one response. */
class Highlighter {
  readonly #isFound: (word: string) => boolean;
  readonly #known = new Map<string, boolean>();
  #left = MAX_CHARACTERS_OF_RESPONSE;

  constructor(search: TextSearch) {
    this.#isFound = matcher(search);
  }

  of(text: string): Highlight | undefined {
    const length = Math.min(MAX_SEARCHED_CHARACTERS, Math.max(LENGTH, this.#left));
    const searched = text.slice(0, length);
    const marks: (readonly [number, number])[] = [];
    let start: number | undefined;
    let read = 0;
    for (const at of wordsOf(searched)) {
      read = at.end;
      if (start !== undefined && at.start > start + LENGTH) break;
      if (!this.#has(at.word)) continue;
      start ??= startOf(text, at);
      if (at.end <= start + LENGTH) marks.push([at.start - start, at.end - start]);
    }
    this.#left -= start === undefined ? searched.length : read;
    if (start === undefined) return undefined;
    return { text: text.slice(start, start + LENGTH).toWellFormed(), marks };
  }

  #has(word: string): boolean {
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const isFound = this.#isFound(word);
    if (this.#known.size < MAX_REMEMBERED) this.#known.set(word, isFound);
    return isFound;
  }
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
  const nearly = index.typos ? wanted.map(nearlySameAs) : [];
  return (word) => {
    const plain = withoutAccents(word);
    if (exact.has(stemOf(plain, index)) || (index.prefix && plain.startsWith(last))) return true;
    return nearly.some((isNearly) => isNearly(plain));
  };
}

function stemOf(word: string, { language }: SearchIndex): string {
  return language === "english" ? stemmer(word) : word;
}
