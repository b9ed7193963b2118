import { stemmer } from "stemmer";
import { isNearlySame, MIN_NEARLY_LENGTH } from "../../util/nearly-same.ts";
import { searchTables } from "../sql/search-tables.ts";
import type { TextSearch } from "../store.ts";
import type { StatementSource } from "./sqlite-reader.ts";

/** Most words of the index that are compared with one that is asked for. */
const MAX_COMPARED = 50_000;
/** Most words that will do in the place of one. */
const MAX_ALTERNATIVES = 8;
const LAST_CHARACTER = "\u{10ffff}";

/** For each word of a search the words of the index that are nearly the same. */
export async function nearlyWords(
  entity: string,
  { words, index }: TextSearch,
  source: StatementSource,
): Promise<string[][]> {
  const found: string[][] = [];
  for (const word of words) {
    const folded = word
      .normalize("NFD")
      .replaceAll(/[\u0300-\u036f]/g, "")
      .normalize("NFC");
    if (index.language === "simple") found.push(await nearly(entity, folded, source));
    // The index has stems, and takes the stem of what it is asked for.
    else
      found.push((await nearly(entity, stemmer(folded), source)).flatMap((term) => formOf(term)));
  }
  return found;
}

async function nearly(entity: string, word: string, source: StatementSource): Promise<string[]> {
  const [first = "", ...rest] = word;
  const length = rest.length + 1;
  if (length < MIN_NEARLY_LENGTH) return [];
  const rows = await source.all(
    `SELECT term FROM ${searchTables(entity).vocabulary} ` +
      `WHERE term >= ? AND term < ? AND length(term) BETWEEN ? AND ? LIMIT ${MAX_COMPARED}`,
    [first, first + LAST_CHARACTER, length - 1, length + 1],
    { isBounded: () => false },
  );
  return rows
    .map(({ term }) => String(term))
    .filter((term) => term !== word && isWord(term) && isNearlySame(word, term))
    .slice(0, MAX_ALTERNATIVES);
}

/** A word that has the stem: stems themselves have others. */
function formOf(stem: string): string[] {
  const ends = [stem, `${stem}e`, `${stem}ing`, `${stem.slice(0, -1)}y`];
  const form = ends.find((word) => stemmer(word) === stem);
  return form === undefined ? [] : [form];
}

/** It comes into the text of a query. */
function isWord(term: string): boolean {
  return /^[\p{L}\p{N}\p{M}]+$/u.test(term);
}
