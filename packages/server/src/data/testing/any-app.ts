import { compareValues, TRUE } from "@pylonsync/query";
import { buildManifest, entity, field, policy, type Manifest } from "@pylonsync/sdk";
import fc from "fast-check";
import {
  ENTITIES,
  policy as readPolicy,
  RELATIONS,
  type Relation,
} from "../../../../../tests/live-oracle/scenario.ts";
import type { StoredRow } from "../../store/store.ts";
import type { AppData } from "./app-data.ts";

// Generated apps with their rows, for `reads-agreement.test.ts`.

/** An entity of a generated app. */
export interface AnyEntity {
  readonly name: string;
  /** The read policy. */
  readonly readable: string;
  /** A field that not every caller may read, and the condition on the caller who may. */
  readonly closed: readonly [field: string, rule: string] | null;
  /** Whether `ok` is hidden from everybody. */
  readonly isOkHidden: boolean;
  readonly relations: readonly Relation[];
  readonly indexes: readonly (readonly string[])[];
}
/** The entities of an app. */
export type AnyApp = readonly AnyEntity[];
/** Rows by entity. */
export type AnyRows = ReadonlyMap<string, readonly StoredRow[]>;

const INDEXES = [["owner"], ["a", "n"], ["to"], ["b"], ["at"]] as const;

function entityOf(name: string): fc.Arbitrary<AnyEntity> {
  return fc.record({
    name: fc.constant(name),
    readable: readPolicy,
    closed: fc.option(
      fc.tuple(
        fc.constantFrom("f", "d", "at"),
        fc.constantFrom("auth.userId != null", "auth.userId == null", "false"),
      ),
    ),
    isOkHidden: fc.boolean(),
    relations: fc.subarray(
      RELATIONS.filter(({ owner }) => owner === name),
      { minLength: 2 },
    ),
    indexes: fc.subarray([...INDEXES]),
  });
}

/** Apps of three entities. */
export const anyApps: fc.Arbitrary<AnyApp> = fc.tuple(...ENTITIES.map((name) => entityOf(name)));

/** The manifest of the app. */
export function manifestOf(app: AnyApp): Manifest {
  return buildManifest({
    name: "any",
    version: "1.0.0",
    entities: app.map(({ name, isOkHidden, relations, indexes }) =>
      entity(
        name,
        {
          a: field.string(),
          b: field.string().optional(),
          n: field.int().optional(),
          f: field.float().optional(),
          d: field.decimal(12, 4).optional(),
          at: field.datetime().optional(),
          ok: isOkHidden ? field.bool().optional().hidden() : field.bool().optional(),
          tags: field.array(field.string()),
          owner: field.string(),
          to: field.string().optional(),
          via: field.string().optional(),
        },
        {
          indexes: indexes.map((fields) => ({
            name: `by_${fields.join("_")}`,
            fields: [...fields],
            unique: false,
          })),
          relations: relations.map(({ name: relation, target, kind, through }) => ({
            name: relation,
            target,
            field: "to",
            many: kind !== "one",
            ...(through === undefined ? {} : { through, targetField: "via" }),
          })),
          search: { fields: ["a"], facets: ["b", "n"], sort: ["n"] },
        },
      ),
    ),
    policies: app.map(({ name, readable, closed }) =>
      policy({
        name,
        entity: name,
        allowRead: readable,
        ...(closed === null ? {} : { fields: { [closed[0]]: { allowRead: closed[1] } } }),
      }),
    ),
  });
}

const IDS = [0, 1, 2, 3, 4];
const link = fc.option(
  fc.constantFrom(...ENTITIES.flatMap((name) => IDS.map((n) => `${name.toLowerCase()}${n}`))),
  { freq: 5 },
);

/** Values that filters also use, so that rows and filters match. */
export const VALUES = {
  a: fc.constantFrom("x", "y", "z", "x y", "Z é"),
  b: fc.constantFrom("x", "y", "É", ""),
  n: fc.constantFrom(-1, 0, 1, 2),
  f: fc.constantFrom(-1.5, 0, 0.5, 2),
  d: fc.constantFrom("10", "9", "-0.25", "12.5"),
  at: fc.constantFrom(
    "2025-12-31T23:59:59.999Z",
    "2026-01-01T00:00:00.000Z",
    "2026-01-01T12:30:00.000Z",
  ),
  ok: fc.boolean(),
  tag: fc.constantFrom("x", "y", "é"),
  owner: fc.constantFrom("ann", "bob"),
} as const;

function rowsOf(name: string): fc.Arbitrary<StoredRow[]> {
  const row = fc.record({
    id: fc.constantFrom(...IDS.map((n) => `${name.toLowerCase()}${n}`)),
    a: VALUES.a,
    b: fc.option(VALUES.b, { freq: 4 }),
    n: fc.option(VALUES.n, { freq: 4 }),
    f: fc.option(VALUES.f, { freq: 4 }),
    d: fc.option(VALUES.d, { freq: 4 }),
    at: fc.option(VALUES.at, { freq: 4 }),
    ok: fc.option(VALUES.ok, { freq: 4 }),
    tags: fc.uniqueArray(VALUES.tag, { maxLength: 2 }),
    owner: VALUES.owner,
    to: link,
    via: link,
  });
  return fc
    .uniqueArray(row, { selector: ({ id }) => id, maxLength: IDS.length, size: "max" })
    .map((rows): StoredRow[] => rows.toSorted((a, b) => compareValues(a.id, b.id)));
}

/** Rows of all entities; links lead to any rows, some of which do not exist. */
export const anyRows: fc.Arbitrary<AnyRows> = fc
  .tuple(...ENTITIES.map((name) => rowsOf(name)))
  .map((all) => new Map(ENTITIES.map((name, index) => [name, all[index] ?? []])));

/** Replaces the existing rows with these. */
export async function loadAny(data: AppData, rows: AnyRows): Promise<void> {
  await data.store.transact(async (tx) => {
    for (const [name, all] of rows) {
      await tx.deleteWhere(name, TRUE);
      for (const row of all) await tx.insert(name, row);
    }
  });
}
