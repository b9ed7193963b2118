import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { literal, parsePolicy, path, type Expr } from "@pylonsync/query";
import { buildManifest, entity, field, type SearchOptions } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { planMigration } from "../../schema/diff.ts";
import { searchIndexesOf } from "../../schema/search-index.ts";
import type { Reader, SearchSelect, Store } from "../store.ts";
import { tableShapes } from "../table-shapes.ts";
import { ReadPlans } from "./read-plans.ts";
import { SqliteReader, TableSet, type StatementSource } from "./sqlite-reader.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { isShort, OwnConnection } from "./statement-sources.ts";
import { StatementCache } from "./statements.ts";

const ROWS = 300;

const note = (name: string, search: Partial<SearchOptions> = {}): ReturnType<typeof entity> =>
  entity(
    name,
    { text: field.string(), open: field.bool(), ownerId: field.string() },
    { search: { fields: ["text"], ...search } },
  );
const manifest = buildManifest({
  name: "rare",
  version: "1.0.0",
  entities: [
    note("Note"),
    note("Prefixed", { prefix: true }),
    note("Tolerant", { typos: true }),
    entity("Member", { noteId: field.string(), userId: field.string() }),
  ],
});
const indexes = searchIndexesOf(manifest.entities);
const tables = new TableSet(tableShapes(JSON.stringify(manifest)));
const folder = mkdtempSync(join(tmpdir(), "pylon-rare-"));
const file = join(folder, "rare.db");
let store: Store;
let database: Database;
let limited: Reader;

beforeAll(async () => {
  store = openSqliteStore(file);
  await store.migrate(() => ({
    migration: planMigration(null, manifest).migration,
    manifestJson: JSON.stringify(manifest),
  }));
  limited = store.limitedReader({ caller: "one", timeoutMs: 20_000 });
  await store.transact(async (tx) => {
    for (const name of ["Note", "Prefixed", "Tolerant"])
      for (let n = 0; n < ROWS; n += 1) {
        const text = ["common", n % 100 === 0 ? "rare" : "", n < 200 ? "just" : ""].join(" ");
        await tx.insert(name, { id: `n${n}`, text, open: n % 2 === 0, ownerId: "u1" });
      }
  });
  database = new Database(file);
});

afterAll(async () => {
  database.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

function searchOf(words: string[], more: Partial<SearchSelect> = {}): SearchSelect {
  const entityName = more.entity ?? "Note";
  const index = indexes[entityName];
  if (index === undefined) throw new Error(`${entityName} has no search.`);
  return { entity: entityName, search: { index, words }, limit: 20, offset: 0, ...more };
}

/** Whether the store runs the search on the server's own thread. */
async function runsHere(query: SearchSelect): Promise<boolean> {
  const plans = new ReadPlans(database);
  const own = new OwnConnection(new StatementCache(database), () => undefined);
  const decisions: boolean[] = [];
  const source: StatementSource = {
    first: () => null,
    all(text, params, bounds) {
      decisions.push(isShort({ own, plans }, text, bounds));
      return own.all(text, params, bounds);
    },
  };
  await new SqliteReader(source, () => tables).search(query);
  return decisions.at(-1) === true;
}

const isOpen: Expr = path("data", "open");
const isText: Expr = { kind: "contains", text: path("data", "text"), part: literal("rare") };

test.each<[string, SearchSelect, boolean]>([
  ["a rare word", searchOf(["rare"]), true],
  ["a word of no row", searchOf(["nothing"]), true],
  ["the most frequent word that counts as rare", searchOf(["just"]), true],
  ["a frequent word", searchOf(["common"]), false],
  ["a rare and a frequent word, which are both counted", searchOf(["rare", "common"]), false],
  ["two rare words", searchOf(["rare", "just"]), true],
  ["a rare word under a condition", searchOf(["rare"], { where: isOpen }), true],
  ["a rare word under a slow condition", searchOf(["rare"], { where: isText }), false],
  [
    "a rare word under a condition on other rows without an index",
    searchOf(["rare"], { where: parsePolicy("exists(Member, noteId == data.id)") }),
    false,
  ],
  [
    "a rare word, in the order of a field",
    searchOf(["rare"], { order: [{ field: "text", direction: "asc" }] }),
    true,
  ],
  ["a word that may be several tokens", searchOf(["rare\u{1f12f}x"]), false],
  ["a prefix", searchOf(["rare"], { entity: "Prefixed" }), false],
  ["a word with alternatives", searchOf(["rare"], { entity: "Tolerant" }), false],
])("D1: %s: the search runs on the server's thread only if it is short", async (_, query, here) => {
  expect(await runsHere(query)).toBe(here);
  expect(await limited.search(query)).toEqual(await store.search(query));
});

test("D1: a search of a query runs in the same snapshot wherever it runs", async () => {
  const limits = { caller: "one", timeoutMs: 20_000 };
  const totals = await store.snapshot(async (reader) => {
    const before = (await reader.search(searchOf(["rare"]))).total;
    const frequent = (await reader.search(searchOf(["common"]))).total;
    const after = (await reader.search(searchOf(["rare"]))).total;
    return [before, frequent, after];
  }, limits);
  expect(totals).toEqual([3, ROWS, 3]);
});
