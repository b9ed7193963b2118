import type { ClientBase } from "pg";
import { indexedCharacters, type SearchIndex } from "../../schema/search-index.ts";
import { textSearchConfig, weightClasses } from "../sql/compile-search.ts";
import { quote } from "../sql/quote.ts";
import { FILL_CHUNK, FILL_KEY, searchName, searchTables } from "../sql/search-tables.ts";

const SET_META = `INSERT INTO "_pylon_meta" (key, value) VALUES ($1, $2)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
/** The characters between words: those of ASCII, and other frequent ones. */
const BETWEEN_WORDS =
  "[\\u0001-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u00a9\\u00ab-\\u00b1\\u00b4" +
  "\\u00b6-\\u00b8\\u00bb\\u00bf\\u00d7\\u00f7\\u2000-\\u206f\\u3000-\\u303f]+";
const ACCENTS = "[\\u0300-\\u036f]";

/** English stems without a list of stop words: SQLite has none either. */
const ENGLISH = [
  `DO $$ BEGIN
     IF NOT EXISTS (SELECT 1 FROM pg_ts_config WHERE cfgname = '_pylon_english') THEN
       CREATE TEXT SEARCH DICTIONARY "_pylon_english_stem"
         (TEMPLATE = snowball, Language = english);
       CREATE TEXT SEARCH CONFIGURATION "_pylon_english" (COPY = pg_catalog.simple);
       ALTER TEXT SEARCH CONFIGURATION "_pylon_english"
         ALTER MAPPING FOR asciiword, word WITH "_pylon_english_stem";
     END IF;
   END $$`,
];

/**
 * Creates the trigram extension, and returns whether it is available. If that fails, the
 * transaction is not affected.
 */
export async function makeTrigrams(client: ClientBase): Promise<boolean> {
  await client.query("SAVEPOINT trigrams");
  try {
    await client.query("CREATE EXTENSION IF NOT EXISTS pg_trgm");
    await client.query("RELEASE SAVEPOINT trigrams");
    return true;
  } catch {
    await client.query("ROLLBACK TO SAVEPOINT trigrams");
    return false;
  }
}

/** Whether the database has the extension pg_trgm, as `found`. */
export const HAS_TRIGRAMS = `SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm')
  AS found`;

/**
 * The statements that create the index of a search, empty, and the trigger that maintains it: every
 * write of a row, also by an older version of the app, writes its part of the index in the same
 * transaction. The index is a separate table, so that a write of other fields does not write it.
 */
export function createSearch(entity: string, index: SearchIndex, hasTrigrams: boolean): string[] {
  const { index: table } = searchTables(entity);
  const keep = searchName(entity, "keep");
  const names = index.fields.map(({ name }) => quote(name)).join(", ");
  const columns = index.typos ? "id, doc, words" : "id, doc";
  const sets = index.typos ? "doc = excluded.doc, words = excluded.words" : "doc = excluded.doc";
  const words = index.typos ? `, words TEXT COLLATE "C"` : "";
  const fill = JSON.stringify({ index, after: "" }).replaceAll("'", "''");
  return [
    ...dropSearch(entity),
    ...(index.language === "english" ? ENGLISH : []),
    `CREATE TABLE ${table} (id TEXT COLLATE "C" PRIMARY KEY, doc TSVECTOR NOT NULL${words})`,
    `CREATE INDEX ON ${table} USING gin (doc)`,
    ...(index.typos && hasTrigrams
      ? [`CREATE INDEX ON ${table} USING gin (words gin_trgm_ops)`]
      : []),
    `CREATE FUNCTION ${keep}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF TG_OP = 'DELETE' THEN
         DELETE FROM ${table} WHERE id = OLD.id;
         RETURN NULL;
       END IF;
       INSERT INTO ${table} (${columns}) VALUES (NEW.id, ${valuesOf("NEW", index)})
         ON CONFLICT (id) DO UPDATE SET ${sets};
       RETURN NULL;
     END $$`,
    `CREATE TRIGGER "_pylon_search" AFTER INSERT OR DELETE OR UPDATE OF ${names}
       ON ${quote(entity)} FOR EACH ROW EXECUTE FUNCTION ${keep}()`,
    `INSERT INTO "_pylon_meta" (key, value) VALUES ('${FILL_KEY}${entity}', '${fill}')`,
  ];
}

/** The statements that drop the index of a search, if it exists. */
export function dropSearch(entity: string): string[] {
  return [
    // Also drops the trigger.
    `DROP FUNCTION IF EXISTS ${searchName(entity, "keep")} CASCADE`,
    `DROP TABLE IF EXISTS ${searchTables(entity).index}`,
    `DELETE FROM "_pylon_meta" WHERE key = '${FILL_KEY}${entity}'`,
  ];
}

/** The entities with rows that are not in the index yet. */
export async function unfilled(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ key: string }>(
    `SELECT key FROM "_pylon_meta" WHERE starts_with(key, $1) ORDER BY key`,
    [FILL_KEY],
  );
  return rows.map(({ key }) => key.slice(FILL_KEY.length));
}

/**
 * Adds the next rows to the index, in a separate transaction, and stores the progress. Rows that
 * are already in the index, because they were written in the meantime, are skipped.
 *
 * @returns whether there may be more
 */
export async function fillSearch(client: ClientBase, entity: string): Promise<boolean> {
  const key = `${FILL_KEY}${entity}`;
  await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
  try {
    // Replicas that start at the same time take turns.
    const { rows } = await client.query<{ value: string }>(
      `SELECT value FROM "_pylon_meta" WHERE key = $1 FOR UPDATE`,
      [key],
    );
    const value = rows[0]?.value;
    const last = value === undefined ? null : await fillNext(client, entity, JSON.parse(value));
    if (last === null) await client.query(`DELETE FROM "_pylon_meta" WHERE key = $1`, [key]);
    else await client.query(SET_META, [key, last]);
    await client.query("COMMIT");
    return last !== null;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/** @returns the next state, or null if all rows are in the index */
async function fillNext(
  client: ClientBase,
  entity: string,
  fill: { readonly index: SearchIndex; readonly after: string },
): Promise<string | null> {
  const { index, after } = fill;
  const columns = index.typos ? "id, doc, words" : "id, doc";
  // The locks prevent the deletion of a row before its part of the index exists, which must be
  // deleted with it.
  const { rows } = await client.query<{ count: number; last: string | null }>(
    `WITH page AS (
       SELECT * FROM ${quote(entity)} WHERE id > $1 ORDER BY id LIMIT ${FILL_CHUNK} FOR KEY SHARE),
     added AS (
       INSERT INTO ${searchTables(entity).index} (${columns})
         SELECT page.id, ${valuesOf("page", index)} FROM page ON CONFLICT (id) DO NOTHING)
     SELECT count(*)::int AS count, max(id) AS last FROM page`,
    [after],
  );
  const [page] = rows;
  if (page === undefined || page.last === null || page.count < FILL_CHUNK) return null;
  return JSON.stringify({ ...fill, after: page.last });
}

function valuesOf(row: string, index: SearchIndex): string {
  const texts = index.fields.map(({ name }) => textOf(`${row}.${quote(name)}`, index));
  const classes = weightClasses(index);
  const config = textSearchConfig(index);
  const doc = texts
    .map((text, at) => `setweight(to_tsvector(${config}, ${text}), '${classes[at] ?? "D"}')`)
    .join(" || ");
  if (!index.typos) return doc;
  const plain = `to_tsvector(${config}, concat_ws(' ', ${texts.join(", ")}))`;
  return `${doc}, concat(' ', array_to_string(tsvector_to_array(${plain}), ' '), ' ')`;
}

/**
 * Reduces a text to its words, without accents, so that the parser of Postgres finds only words.
 */
function textOf(column: string, index: SearchIndex): string {
  const length = indexedCharacters(index);
  const start = `left(coalesce(${column}, ''), ${length})`;
  const plain = `regexp_replace(normalize(${start}, NFD), '${ACCENTS}', '', 'g')`;
  const words = `regexp_replace(${plain}, '${BETWEEN_WORDS}', ' ', 'g')`;
  return `left(normalize(${words}, NFC), ${length})`;
}
