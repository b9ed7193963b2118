import { stemmer } from "stemmer";
import { MIN_NEARLY_LENGTH, nearlySameAs } from "../../util/nearly-same.ts";
import { searchTables } from "../sql/search-tables.ts";
import type { TextSearch } from "../store.ts";
import type { StatementSource } from "./sqlite-reader.ts";

/** The maximum number of words of the index that are compared with a searched word. */
const MAX_COMPARED = 50_000;
/** The maximum number of alternatives for a word. */
const MAX_ALTERNATIVES = 8;
const LAST_CHARACTER = "\u{10ffff}";

/** For each word of a search, the similar words of the index. */
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
    // The index contains stems, and its tokenizer also stems the words of a query.
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
  const isNearly = nearlySameAs(word);
  return rows
    .map(({ term }) => String(term))
    .filter((term) => term !== word && isNearly(term) && isWord(term))
    .slice(0, MAX_ALTERNATIVES);
}

/** A word with the given stem: stemming a stem again may change it. */
function formOf(stem: string): string[] {
  const ends = [stem, `${stem}e`, `${stem}ing`, `${stem.slice(0, -1)}y`];
  const form = ends.find((word) => stemmer(word) === stem);
  return form === undefined ? [] : [form];
}

/** Whether a term is safe in the text of a query. */
function isWord(term: string): boolean {
  return /^[\p{L}\p{N}\p{M}]+$/u.test(term);
}
