import type { Database } from "bun:sqlite";
import { indexedCharacters, type SearchIndex } from "../../schema/search-index.ts";
import { quote } from "../sql/quote.ts";
import { FILL_CHUNK, FILL_KEY, searchName, searchTables } from "../sql/search-tables.ts";

/** The tokenizers of FTS5: words consist of letters and digits, without case and accents. */
const TOKENIZERS = {
  simple: "unicode61 remove_diacritics 2",
  english: "porter unicode61 remove_diacritics 2",
} as const;

const SET_META = `INSERT INTO "_pylon_meta" (key, value) VALUES (?, ?)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;

/** The progress of adding the rows of an entity to its index. */
interface Fill {
  readonly index: SearchIndex;
  /** The id of the last row that was added. */
  readonly after: string;
}

/**
 * The statements that create the index of a search, empty, and the triggers that maintain it: every
 * statement that writes a row also writes its part of the index. The index does not store a copy of
 * the texts.
 */
export function createSearch(entity: string, index: SearchIndex): string[] {
  const { index: table, numbers, vocabulary } = searchTables(entity);
  const columns = columnsOf(index).join(", ");
  const prefixes = index.prefix ? `, prefix = '2 3'` : "";
  const options = `content = '', contentless_delete = 1${prefixes}`;
  const number = (row: string): string => `(SELECT doc FROM ${numbers} WHERE id = ${row}.id)`;
  const add =
    `INSERT OR IGNORE INTO ${numbers} (id) VALUES (new.id); ` +
    `INSERT INTO ${table} (rowid, ${columns}) ` +
    `VALUES (${number("new")}, ${valuesOf("new", index)}); `;
  const forget = (row: string): string => `DELETE FROM ${table} WHERE rowid = ${number(row)}; `;
  const names = index.fields.map(({ name }) => quote(name));
  const isChanged = names.map((name) => `old.${name} IS NOT new.${name}`).join(" OR ");
  const on = (event: string, part: string, body: string, when = ""): string =>
    `CREATE TRIGGER ${searchName(entity, part)} AFTER ${event} ON ${quote(entity)}${when} ` +
    `BEGIN ${body}END`;
  return [
    ...dropSearch(entity),
    `CREATE TABLE ${numbers} (doc INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT`,
    `CREATE VIRTUAL TABLE ${table} USING fts5(${columns}, ${options}, ` +
      `tokenize = '${TOKENIZERS[index.language]}')`,
    ...(index.typos ? [`CREATE VIRTUAL TABLE ${vocabulary} USING fts5vocab(${table}, 'row')`] : []),
    on("INSERT", "insert", add),
    on(`UPDATE OF ${names.join(", ")}`, "update", forget("old") + add, ` WHEN ${isChanged}`),
    on("DELETE", "delete", `${forget("old")}DELETE FROM ${numbers} WHERE id = old.id; `),
    setFill(entity, { index, after: "" }),
  ];
}

/** The statements that drop the index of a search, if it exists. */
export function dropSearch(entity: string): string[] {
  const { index, numbers, vocabulary } = searchTables(entity);
  return [
    ...["insert", "update", "delete"].map(
      (part) => `DROP TRIGGER IF EXISTS ${searchName(entity, part)}`,
    ),
    `DROP TABLE IF EXISTS ${vocabulary}`,
    `DROP TABLE IF EXISTS ${index}`,
    `DROP TABLE IF EXISTS ${numbers}`,
    `DELETE FROM "_pylon_meta" WHERE key = '${FILL_KEY}${entity}'`,
  ];
}

/** The entities with rows that are not in the index yet. */
export function unfilled(database: Database): string[] {
  return database
    .query<{ key: string }, [string]>(
      `SELECT key FROM "_pylon_meta" WHERE substr(key, 1, ${FILL_KEY.length}) = ? ORDER BY key`,
    )
    .all(FILL_KEY)
    .map(({ key }) => key.slice(FILL_KEY.length));
}

/**
 * Adds the next rows to the index, and stores the progress. Rows that are already in the index,
 * because they were written in the meantime, are skipped.
 *
 * @returns whether there may be more
 */
export function fillSearch(database: Database, entity: string): boolean {
  const fill = fillOf(database, entity);
  if (fill === null) return false;
  const [table, { index: search, numbers }] = [quote(entity), searchTables(entity)];
  const columns = columnsOf(fill.index).join(", ");
  const docsize = searchName(entity, "search_docsize");
  const last = database
    .query<{ id: string }, [string]>(
      `SELECT id FROM ${table} WHERE id > ? ORDER BY id LIMIT 1 OFFSET ${FILL_CHUNK - 1}`,
    )
    .get(fill.after)?.id;
  const range = `t.id > ?${last === undefined ? "" : " AND t.id <= ?"}`;
  const params = last === undefined ? [fill.after] : [fill.after, last];
  database
    .query<unknown, string[]>(
      `INSERT OR IGNORE INTO ${numbers} (id) ` +
        `SELECT id FROM ${table} AS t WHERE ${range} ORDER BY id`,
    )
    .run(...params);
  database
    .query<unknown, string[]>(
      `INSERT INTO ${search} (rowid, ${columns}) SELECT n.doc, ${valuesOf("t", fill.index)} ` +
        `FROM ${table} AS t JOIN ${numbers} AS n ON n.id = t.id WHERE ${range} ` +
        `AND NOT EXISTS (SELECT 1 FROM ${docsize} AS d WHERE d.id = n.doc) ORDER BY n.doc`,
    )
    .run(...params);
  if (last === undefined) database.run(`DELETE FROM "_pylon_meta" WHERE key = ?`, [key(entity)]);
  else database.run(SET_META, [key(entity), JSON.stringify({ ...fill, after: last })]);
  return last !== undefined;
}

function fillOf(database: Database, entity: string): Fill | null {
  const row = database
    .query<{ value: string }, [string]>(`SELECT value FROM "_pylon_meta" WHERE key = ?`)
    .get(key(entity));
  if (row === null) return null;
  const fill: Fill = JSON.parse(row.value);
  return fill;
}

/** DDL has no parameters, so the values are literals. */
function setFill(entity: string, fill: Fill): string {
  const value = JSON.stringify(fill).replaceAll("'", "''");
  return `INSERT INTO "_pylon_meta" (key, value) VALUES ('${key(entity)}', '${value}')`;
}

function key(entity: string): string {
  return `${FILL_KEY}${entity}`;
}

function columnsOf({ fields }: SearchIndex): string[] {
  return fields.map((_, at) => `c${at}`);
}

function valuesOf(row: string, index: SearchIndex): string {
  const length = indexedCharacters(index);
  return index.fields.map(({ name }) => `substr(${row}.${quote(name)}, 1, ${length})`).join(", ");
}
