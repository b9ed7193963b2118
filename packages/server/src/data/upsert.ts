import { PylonError } from "@pylonsync/protocol";
import { and, literal, path, type Expr } from "@pylonsync/query";
import { withEmailRules } from "../schema/managed-fields.ts";
import { asObject, checkedId, checkValue, refuseUnknown } from "../schema/row-input.ts";
import { currentName, withCurrentNames } from "../schema/old-names.ts";
import type { Entity } from "../schema/schema.ts";
import type { Value } from "../store/store.ts";

/** A row that is updated if it exists, and inserted otherwise. */
export interface Upsert {
  /** The key of the row: a unique field, the fields of a unique index, or `id`. */
  readonly by: unknown;
  /** The row to insert. */
  readonly data: unknown;
  /** The patch for an existing row; by default the changeable fields of `data`. */
  readonly update?: unknown;
}

/** The result of an upsert. */
export interface Upserted {
  readonly id: string;
  readonly created: boolean;
}

/** Returns the upsert with the current names of the fields. */
export function upsertByCurrentNames(entity: Entity, { by, data, update }: Upsert): Upsert {
  const current = (name: unknown): unknown =>
    typeof name === "string" ? currentName(entity, name) : name;
  return {
    by: Array.isArray(by) ? by.map(current) : current(by),
    data: withCurrentNames(entity, data),
    ...(update === undefined ? {} : { update: withCurrentNames(entity, update) }),
  };
}

/**
 * Returns the key of the row.
 *
 * @param visible the fields that the caller may use in conditions
 * @throws PylonError INVALID_DATA, INVALID_COLUMN, MISSING_FIELD
 */
export function upsertKey(
  entity: Entity,
  { by, data }: Upsert,
  visible: Pick<ReadonlySet<string>, "has">,
): { readonly names: readonly string[]; readonly where: Expr } {
  const names = namesOf(by);
  const given = asObject(entity, data);
  if (names.length === 1 && names[0] === "id") {
    const id = checkedId(given["id"]);
    if (id === undefined) throw withoutValue(entity, "id");
    return { names, where: equal("id", id) };
  }
  refuseUnknown(entity, Object.fromEntries(names.map((name) => [name, null])), visible);
  if (!isUnique(entity, names))
    throw new PylonError(
      "INVALID_DATA",
      `${entity.name} may have several rows with the same ${names.join(", ")}.`,
      {
        field: "by",
        hint: "Use a unique field, all fields of a unique index, or id.",
      },
    );
  const values: Record<string, Value> = {};
  for (const name of names) {
    const field = entity.fields.get(name);
    const value = given[name];
    if (field === undefined || value === null || value === undefined)
      throw withoutValue(entity, name);
    values[name] = checkValue(entity, field, value);
  }
  const stored = Object.entries(withEmailRules(entity, null, values));
  return {
    names,
    where: and(
      ...stored.filter(([name]) => names.includes(name)).map(([name, v]) => equal(name, v)),
    ),
  };
}

/** Returns the patch for an existing row, without the fields that can be set only once. */
export function upsertPatch(entity: Entity, names: readonly string[], given: Upsert): unknown {
  if (given.update !== undefined) return given.update;
  return Object.fromEntries(
    Object.entries(asObject(entity, given.data)).filter(([name]) => {
      const field = entity.fields.get(name);
      const isFixed = field?.readonly === true || field?.owner === true || name === "id";
      return !isFixed && !names.includes(name);
    }),
  );
}

function namesOf(by: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(by) ? by : [by];
  if (names.length > 0 && names.every((name) => typeof name === "string")) return names;
  throw new PylonError("INVALID_DATA", "An upsert must name the fields that identify the row.", {
    field: "by",
    hint: 'Send {"by": "slug"}, or a list of fields that are unique together.',
  });
}

function isUnique({ fields, indexes }: Entity, names: readonly string[]): boolean {
  const [first] = names;
  if (names.length === 1 && first !== undefined && fields.get(first)?.unique === true) return true;
  const wanted = new Set(names);
  return indexes.some(
    (index) =>
      index.unique &&
      index.fields.length === wanted.size &&
      index.fields.every((name) => wanted.has(name)),
  );
}

function equal(name: string, value: Value): Expr {
  if (typeof value === "object")
    throw new PylonError("INVALID_DATA", `A row can't be identified by the value of ${name}.`, {
      field: name,
    });
  return { kind: "compare", op: "==", left: path("data", name), right: literal(value) };
}

function withoutValue(entity: Entity, name: string): PylonError {
  return new PylonError("MISSING_FIELD", `The upsert of ${entity.name} has no value for ${name}.`, {
    field: name,
    hint: "Send the fields named by `by` in data.",
  });
}
