import { stemmer } from "stemmer";
import type { SearchIndex } from "../../schema/search-index.ts";
import { MIN_NEARLY_LENGTH } from "../../util/nearly-same.ts";
import type { TextSearch } from "../store.ts";
import type { WhereCompiler } from "./compile-where.ts";
import type { Dialect } from "./dialect.ts";
import { quote } from "./quote.ts";
import { searchTables } from "./search-tables.ts";

/** A search, with what a store knows about its words. */
export interface PreparedSearch extends TextSearch {
  /** SQLite: the alternatives for each word. */
  readonly alternatives?: readonly (readonly string[])[] | undefined;
  /** Postgres: whether similar words can be found. */
  readonly hasTrigrams?: boolean | undefined;
}

/** The parts of a statement that searches; its rows have the alias `t`. */
export interface SearchSql {
  readonly from: string;
  readonly condition: string;
  /**
   * The same for the index alone, if there are no other conditions on the rows; their ids are `id`.
   */
  readonly fromIndex: string;
  readonly id: string;
  /** Creates the terms that sort the best row first, with the parameters that they need. */
  readonly order: () => readonly OrderTerm[];
}

/** A term of the sort order. */
export interface OrderTerm {
  readonly term: string;
  readonly direction: string;
}

/** The weight classes of Postgres, the greatest first. */
const CLASSES = ["A", "B", "C", "D"] as const;
const CONFIGS = { simple: "pg_catalog.simple", english: "_pylon_english" } as const;

/** The Postgres text search configuration for the language of an index, as a literal. */
export function textSearchConfig({ language }: SearchIndex): string {
  return `'${CONFIGS[language]}'`;
}

/** The weight class of each field of an index. */
export function weightClasses({ fields }: SearchIndex): string[] {
  const weights = distinctWeights(fields);
  return fields.map(({ weight }) => CLASSES[weights.indexOf(weight)] ?? "D");
}

/** Compiles a search: its condition is the first one of the statement. */
export function compileSearch(
  entity: string,
  search: PreparedSearch,
  compiler: WhereCompiler,
  dialect: Dialect,
): SearchSql {
  return dialect.name === "sqlite"
    ? onSqlite(entity, search, compiler)
    : onPostgres(entity, search, compiler);
}

function onSqlite(entity: string, search: PreparedSearch, compiler: WhereCompiler): SearchSql {
  const { index, numbers } = searchTables(entity);
  const weights = search.index.fields.map(({ weight }) => String(weight)).join(", ");
  // The rows of the index come first in the join: otherwise the index would not be used.
  const fromIndex = `${index} CROSS JOIN ${numbers} AS n ON n.doc = ${index}.rowid`;
  return {
    from: `${fromIndex} CROSS JOIN ${quote(entity)} AS t ON t.id = n.id`,
    fromIndex,
    id: "n.id",
    condition: `${index} MATCH ${compiler.parameter(matchText(search))}`,
    order: () => [{ term: `bm25(${index}, ${weights})`, direction: "ASC" }],
  };
}

/**
 * Each word is quoted, so it contains no syntax. The tokenizer of the index folds it like the
 * texts.
 */
function matchText({ words, index, alternatives = [] }: PreparedSearch): string {
  return words
    .map((word, at) => {
      const mark = index.prefix && at === words.length - 1 ? " *" : "";
      const others = (alternatives[at] ?? []).map((other) => `"${other}"`);
      return `(${[`"${word}"${mark}`, ...others].join(" OR ")})`;
    })
    .join(" AND ");
}

function onPostgres(entity: string, search: PreparedSearch, compiler: WhereCompiler): SearchSql {
  const { words, index, hasTrigrams = false } = search;
  const config = textSearchConfig(index);
  const lexemes = words.map((word, at) => lexemeOf(word, index.prefix && at === words.length - 1));
  const fromIndex = `${searchTables(entity).index} AS s`;
  const source = {
    from: `${fromIndex} JOIN ${quote(entity)} AS t ON t.id = s.id`,
    fromIndex,
    id: "s.id",
  };
  const weights = [...CLASSES].map((_, at) => scaledWeight(index, at)).toReversed();
  const rankOf = (query: string): OrderTerm => ({
    term: `ts_rank_cd('{${weights.join(", ")}}', s.doc, ${query})`,
    direction: "DESC",
  });
  if (!index.typos || !hasTrigrams) {
    const query = `to_tsquery(${config}, ${compiler.parameter(lexemes.join(" & "))})`;
    return { ...source, condition: `s.doc @@ ${query}`, order: () => [rankOf(query)] };
  }
  const terms = words.map((word, at) => {
    const query = `to_tsquery(${config}, ${compiler.parameter(lexemes[at] ?? "")})`;
    const hasWord = `s.doc @@ ${query}`;
    return Array.from(word).length < MIN_NEARLY_LENGTH
      ? hasWord
      : `(${hasWord} OR ${nearlyOnPostgres(termOf(word, index), compiler)})`;
  });
  return {
    ...source,
    condition: `(${terms.join(" AND ")})`,
    order: () => {
      const any = `to_tsquery(${config}, ${compiler.parameter(lexemes.join(" | "))})`;
      const whole = compiler.parameter(words.map((word) => termOf(word, index)).join(" "));
      const similarity = `word_similarity(${whole}, s.words)`;
      return [rankOf(any), { term: similarity, direction: "DESC" }];
    },
  };
}

/**
 * If one letter is wrong, one half of the word is right: by that half the trigram index finds the
 * texts to which the regular expression is then applied. A word consists only of letters and
 * digits, so it contains no syntax of patterns.
 */
function nearlyOnPostgres(word: string, compiler: WhereCompiler): string {
  const letters = Array.from(word);
  const half = Math.ceil(letters.length / 2);
  const likes = [
    `% ${letters.slice(0, half).join("")}%`,
    `%${letters.slice(half).join("")} %`,
    `% ${exchanged(letters, half - 1)} %`,
  ].map((pattern) => `s.words LIKE ${compiler.parameter(pattern)}`);
  const expression = compiler.parameter(` (${nearlyForms(letters).join("|")}) `);
  return `((${likes.join(" OR ")}) AND s.words ~ ${expression})`;
}

/** The words that `nearlySameAs` accepts as similar, as regular expressions. */
function nearlyForms(letters: readonly string[]): string[] {
  return letters.flatMap((_, at) => {
    const [before, after] = [letters.slice(0, at).join(""), letters.slice(at + 1).join("")];
    const longer = `${letters.slice(0, at + 1).join("")}[^ ]${after}`;
    if (at === 0) return [longer];
    const others = [longer, `${before}[^ ]?${after}`];
    return at + 1 < letters.length ? [...others, exchanged(letters, at)] : others;
  });
}

/** The word with a letter and its successor exchanged. */
function exchanged(letters: readonly string[], at: number): string {
  const [before, after] = [letters.slice(0, at), letters.slice(at + 2)];
  return [...before, letters[at + 1], letters[at], ...after].join("");
}

/** Quoted, so it contains no syntax. */
function lexemeOf(word: string, isPrefix: boolean): string {
  return `'${foldForPostgres(word)}'${isPrefix ? ":*" : ""}`;
}

/** A word in the form in which the index contains it. */
function termOf(word: string, { language }: SearchIndex): string {
  return language === "english" ? stemmer(foldForPostgres(word)) : foldForPostgres(word);
}

/** Removes accents, as in the texts of the index. */
function foldForPostgres(word: string): string {
  return word
    .normalize("NFD")
    .replaceAll(/[\u0300-\u036f]/g, "")
    .normalize("NFC");
}

/** Postgres accepts weights up to 1. */
function scaledWeight({ fields }: SearchIndex, at: number): number {
  const weights = distinctWeights(fields);
  return (weights[at] ?? 0) / (weights[0] ?? 1);
}

function distinctWeights(fields: SearchIndex["fields"]): number[] {
  return [...new Set(fields.map(({ weight }) => weight))].toSorted((a, b) => b - a);
}
