import { stemmer } from "stemmer";
import type { SearchIndex } from "../schema/search-index.ts";
import type { StoredRow, TextSearch } from "../store/store.ts";
import { isNearlySame } from "../util/nearly-same.ts";
import { withoutAccents, wordsOf, type WordAt } from "./search-words.ts";

/** A part of a text, and where the searched words stand in it: start and end, in characters. */
export interface Highlight {
  readonly text: string;
  readonly marks: readonly (readonly [start: number, end: number])[];
}

/** Those of one hit, by field; without the fields in which no word was found. */
export type Highlights = Readonly<Record<string, Highlight>>;

/** Most characters of a part that is shown. */
const LENGTH = 200;
/** Characters that are shown before the first word that was found. */
const BEFORE = 60;
/** Characters of a text that are looked through. */
const MAX_LOOKED_THROUGH = 100_000;

/**
 * Where the words of a search stand in its hits. They are places and no markup: what a user wrote
 * stays a text.
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
  const found = wordsOf(text.slice(0, MAX_LOOKED_THROUGH)).filter(({ word }) => isFound(word));
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

/** Between two words, if there is such a place near. */
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
