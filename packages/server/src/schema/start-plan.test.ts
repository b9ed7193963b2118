import { expect, test } from "bun:test";
import type { Manifest } from "@pylonsync/sdk";
import fc from "fast-check";
import { planMigration } from "./diff.ts";
import { applied, manifestArbitrary, tablesOf, type Tables } from "./migration.arbitraries.ts";
import { planStart } from "./start-plan.ts";
import { withLeftovers, type StoredManifest } from "./stored-manifest.ts";

interface Database {
  readonly stored: StoredManifest | null;
  readonly tables: Tables;
}

/** Simulates a server's start: with problems, nothing happens. */
function started({ stored, tables }: Database, app: Manifest): Database {
  const plan = planStart(stored, app);
  if (plan.problems.length > 0) return { stored, tables };
  return { stored: plan.stored, tables: applied(tables, plan.migration) };
}

const EMPTY: Database = { stored: null, tables: new Map() };
const versions = fc.array(manifestArbitrary, { minLength: 1, maxLength: 4 });

test("no sequence of started versions loses a table, column or value of one", () => {
  fc.assert(
    fc.property(versions, (apps) => {
      let database = EMPTY;
      for (const app of apps) {
        const next = started(database, app);
        for (const [entity, { columns }] of database.tables)
          for (const [name, type] of columns)
            expect(next.tables.get(entity)?.columns.get(name)).toBe(type);
        database = next;
      }
    }),
    { numRuns: 100 },
  );
});

test("after a start the tables match the stored manifest, including leftovers", () => {
  fc.assert(
    fc.property(versions, (apps) => {
      let database = EMPTY;
      for (const app of apps) {
        database = started(database, app);
        expect(database.tables).toEqual(
          tablesOf(database.stored === null ? [] : withLeftovers(database.stored)),
        );
      }
    }),
    { numRuns: 100 },
  );
});

test("a served app has every column and index that it declares", () => {
  fc.assert(
    fc.property(versions, manifestArbitrary, (apps, app) => {
      const database = apps.reduce(started, EMPTY);
      if (planStart(database.stored, app).problems.length > 0) return;
      const { tables } = started(database, app);
      for (const [entity, { columns, indexes }] of tablesOf(app.entities)) {
        expect(tables.get(entity)?.columns).toEqual(
          new Map([...columns, ...(tables.get(entity)?.columns ?? [])]),
        );
        for (const [name, text] of indexes)
          expect(tables.get(entity)?.indexes.get(name)).toBe(text);
      }
    }),
    { numRuns: 100 },
  );
});

test("a second start changes nothing; applying the deferred steps leaves only the app", () => {
  fc.assert(
    fc.property(versions, manifestArbitrary, (apps, app) => {
      const database = started(apps.reduce(started, EMPTY), app);
      const { stored, tables } = database;
      if (stored === null) return;
      const again = planStart(stored, stored);
      expect([again.problems, again.migration.steps]).toEqual([[], []]);
      const { migration } = planMigration(stored, stored);
      expect(applied(tables, migration)).toEqual(tablesOf(stored.entities));
      expect(again.waiting.length > 0).toBe(stored.leftovers !== undefined);
    }),
    { numRuns: 100 },
  );
});
