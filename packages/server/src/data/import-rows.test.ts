import { isRowId, MAX_IMPORT_ERRORS, PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { ADMIN } from "../identity/identity.ts";
import { Importer, type ImportMode, type ImportReport } from "./import-rows.ts";
import type { ImportItem, ImportRow, UnreadableLine } from "./import-source.ts";
import { openAppData, type AppData } from "./testing/app-data.ts";

const manifest = buildManifest({
  name: "import",
  version: "1.0.0",
  entities: [
    entity("Item", { n: field.int() }),
    entity("Other", { n: field.int(), tag: field.string().optional() }),
  ],
});

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

async function* each(items: readonly ImportItem[]): AsyncGenerator<ImportItem> {
  for (const item of items) yield await Promise.resolve(item);
}

async function run(
  mode: ImportMode,
  items: AsyncIterable<ImportItem>,
  beforeBatch: () => Promise<void> = () => Promise.resolve(),
): Promise<{ readonly report: ImportReport; readonly error: unknown }> {
  const importer = new Importer(app.committer, ADMIN, mode);
  const error = await importer.run(items, beforeBatch).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return { report: importer.report, error };
}

const item: fc.Arbitrary<Omit<ImportRow, "line"> | Omit<UnreadableLine, "line">> = fc.oneof(
  fc.record({
    entity: fc.constantFrom("Item", "Other", "Nothing"),
    row: fc.oneof(
      fc.record(
        {
          id: fc.constantFrom<unknown>("a", "b", "c", 7, "not an id"),
          n: fc.constantFrom<unknown>(1, 2, "x"),
        },
        { requiredKeys: ["n"] },
      ),
      fc.constantFrom<unknown>(null, "text", []),
    ),
  }),
  fc.constant({ error: new PylonError("INVALID_JSON", "The line is not valid JSON in UTF-8.") }),
);
const items = fc
  .array(item, { maxLength: 12 })
  .map((all) => all.map((made, index) => ({ ...made, line: index + 1 })));

/** The expected result of an import, row by row. */
function expectedOf(
  all: readonly ImportItem[],
  mode: ImportMode,
): {
  readonly rows: ReadonlyMap<string, unknown>;
  readonly minted: number;
  readonly codes: readonly (readonly [number, string])[];
  readonly updated: number;
} {
  const rows = new Map<string, unknown>();
  const codes: [number, string][] = [];
  let [minted, updated] = [0, 0];
  for (const made of all) {
    const refuse = (code: string): void => void codes.push([made.line, code]);
    if (!("row" in made)) {
      refuse(made.error.code);
      continue;
    }
    const isObject = typeof made.row === "object" && made.row !== null && !Array.isArray(made.row);
    const { id, n } = (isObject ? made.row : {}) as { readonly id?: unknown; readonly n?: unknown };
    const key = `${made.entity} ${String(id)}`;
    if (made.entity === "Nothing") refuse("ENTITY_NOT_FOUND");
    else if (id !== undefined && !isRowId(id)) refuse("INVALID_ID");
    else if (!isObject || typeof n !== "number") refuse("INVALID_DATA");
    else if (id === undefined) minted += 1;
    else if (!rows.has(key)) rows.set(key, n);
    else if (mode === "insert") refuse("ID_TAKEN");
    else {
      rows.set(key, n);
      updated += 1;
    }
  }
  return { rows, minted, codes, updated };
}

test("each row is written or rejected independently, and the report says so", async () => {
  await fc.assert(
    fc.asyncProperty(items, fc.constantFrom<ImportMode>("insert", "upsert"), async (all, mode) => {
      await app.clear();
      const expected = expectedOf(all, mode);
      const { report, error } = await run(mode, each(all));
      expect(error).toBeNull();
      expect<unknown>(report.errors.map(({ line, code }) => [line, code])).toEqual(expected.codes);
      expect(report).toMatchObject({
        imported: expected.rows.size + expected.minted,
        updated: expected.updated,
        failed: expected.codes.length,
      });
      const found: [string, unknown][] = [];
      for (const name of ["Item", "Other"])
        for (const { id, n } of await app.store.select({ entity: name }))
          found.push([`${name} ${id}`, n]);
      const named = found.filter(([key]) => expected.rows.has(key));
      expect(new Map(named)).toEqual(new Map(expected.rows));
      expect(found.length - named.length).toBe(expected.minted);
      const sums = report.by_entity.map((counts) => counts.inserted + counts.updated);
      expect(sums.reduce((a, b) => a + b, 0)).toBe(report.imported + report.updated);
    }),
    { numRuns: 30 },
  );
});

test("an upsert writes the fields that it names, and leaves the others as they are", async () => {
  await app.clear();
  await app.store.transact((tx) => tx.insert("Other", { id: "a", n: 1, tag: "kept" }));
  const row = { line: 1, entity: "Other", row: { id: "a", n: 2 } };
  const { report } = await run("upsert", each([row]));
  expect(report).toMatchObject({ imported: 0, updated: 1, failed: 0 });
  expect(await app.store.get("Other", "a")).toEqual({ id: "a", n: 2, tag: "kept" });
});

test("a source that breaks off, or a caller who disconnects, ends an import", async () => {
  await app.clear();
  const row = (id: string): ImportItem => ({ line: 1, entity: "Item", row: { id, n: 1 } });
  async function* broken(): AsyncGenerator<ImportItem> {
    yield row("before");
    await Promise.resolve();
    throw new PylonError("INVALID_DATA", "The request body was cut off.");
  }
  const { report, error } = await run("insert", broken());
  expect(error).toMatchObject({ message: "The request body was cut off." });
  expect(report.imported).toBe(1);
  expect(await app.store.get("Item", "before")).not.toBeNull();

  const gone = new PylonError("UNAUTHORIZED", "The session has ended.");
  const ended = await run("insert", each([row("after")]), () => Promise.reject(gone));
  expect(ended).toMatchObject({ error: gone, report: { imported: 0 } });
  expect(await app.store.get("Item", "after")).toBeNull();
});

test("all failures are counted, and the first ones described", async () => {
  await app.clear();
  const count = MAX_IMPORT_ERRORS + 50;
  const all = Array.from({ length: count }, (_, index) => ({
    line: index + 1,
    entity: "Item",
    row: { n: "x" },
  }));
  const { report } = await run("insert", each(all));
  expect(report.failed).toBe(count);
  expect(report.errors.map(({ line }) => line)).toEqual(
    Array.from({ length: MAX_IMPORT_ERRORS }, (_, index) => index + 1),
  );
});
