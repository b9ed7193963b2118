import {
  addDecimals,
  compareDecimals,
  compareValues,
  parseFilter,
  parseOrder,
  parsePolicy,
  sortRows,
  type EntityShape,
  type FieldKind,
} from "@pylonsync/query";
import { RELATIONS } from "../../../../../tests/live-oracle/scenario.ts";
import type { Caller } from "../../identity/identity.ts";
import { holds } from "../../store/sql/naive-evaluator.ts";
import type { StoredRow, Value } from "../../store/store.ts";
import type { AnyApp, AnyRows } from "./any-app.ts";
import {
  entityNamed,
  fieldsFor,
  type Bucket,
  type Filter,
  type Includes,
  type Included,
  type Question,
} from "./any-questions.ts";

/** A row of an aggregate. */
export type Result = Readonly<Record<string, Value>>;

const SHAPE: EntityShape = {
  name: "Any",
  fields: new Map<string, FieldKind>([
    ["id", "id"],
    ["a", "string"],
    ["b", "string"],
    ["n", "int"],
    ["f", "float"],
    ["d", "decimal"],
    ["at", "datetime"],
    ["ok", "bool"],
    ["tags", "array"],
    ["owner", "string"],
    ["to", "string"],
    ["via", "string"],
  ]),
};

/**
 * The results of each way to read according to the docs, computed by scanning all rows that the
 * caller may read.
 */
export class Answers {
  readonly #app: AnyApp;
  readonly #rows: AnyRows;
  readonly #caller: Caller | undefined;
  readonly #readable = new Map<string, readonly StoredRow[]>();

  constructor(app: AnyApp, rows: AnyRows, caller: Caller | undefined) {
    this.#app = app;
    this.#rows = rows;
    this.#caller = caller;
  }

  /** The rows that may be read, by id, with all of their fields. */
  readable(name: string): readonly StoredRow[] {
    const known = this.#readable.get(name);
    if (known !== undefined) return known;
    const auth = this.#caller;
    const policy = parsePolicy(entityNamed(this.#app, name).readable);
    const isOpen = auth === undefined || auth.isAdmin;
    const rows = (this.#rows.get(name) ?? []).filter(
      (data) => isOpen || holds(policy, { auth, data }, this.#rows),
    );
    this.#readable.set(name, rows);
    return rows;
  }

  /** The rows as the caller sees them. */
  visible(name: string, rows: readonly StoredRow[]): StoredRow[] {
    const fields = fieldsFor(entityNamed(this.#app, name), this.#caller);
    return rows.map(({ id, ...row }) => ({
      id,
      ...Object.fromEntries(Object.entries(row).filter(([field]) => fields.has(field))),
    }));
  }

  /** The rows that match a filter, in order, with all of their fields. */
  found({ entity, where, order }: Pick<Question, "entity" | "where" | "order">): StoredRow[] {
    const rows = this.readable(entity).filter((row) => this.#matches(entity, row, where));
    return sortRows(rows, parseOrder(order, SHAPE));
  }

  /** The same with related rows, as the caller sees them. */
  included(entity: string, rows: readonly StoredRow[], include: Includes): object[] {
    return this.visible(entity, rows).map((row, index) => {
      const whole = rows[index] ?? row;
      const related = Object.entries(include).map(([name, asked = {}]) => [
        name,
        this.#include(entity, whole, name, asked),
      ]);
      return { ...row, ...Object.fromEntries(related) };
    });
  }

  #include(owner: string, row: StoredRow, name: string, asked: Included): unknown {
    const { where = {}, order = {}, limit, include = {} } = asked;
    const { target, kind } = relationOf(owner, name);
    const ids = new Set(this.#related(owner, row, name).map(({ id }) => id));
    const found = this.found({ entity: target, where, order }).filter(({ id }) => ids.has(id));
    const shown = this.included(target, found.slice(0, limit), include);
    return kind === "one" ? (shown[0] ?? null) : shown;
  }

  /** The rows of a relation that may be read, without duplicates. */
  #related(owner: string, row: StoredRow, name: string): readonly StoredRow[] {
    const { target, kind, through = "" } = relationOf(owner, name);
    const rows = this.readable(target);
    if (kind === "one") return rows.filter(({ id }) => id === row["to"]);
    if (kind === "many") return rows.filter(({ to }) => to === row.id);
    const joints = this.readable(through).filter(({ to }) => to === row.id);
    return rows.filter(({ id }) => joints.some(({ via }) => via === id));
  }

  #matches(entity: string, row: StoredRow, filter: Filter): boolean {
    return Object.entries(filter).every(([key, asked]) => {
      if (key === "$and")
        return (asked as Filter[]).every((one) => this.#matches(entity, row, one));
      if (key === "$or") return (asked as Filter[]).some((one) => this.#matches(entity, row, one));
      if (key === "$not") return !this.#matches(entity, row, asked as Filter);
      if (SHAPE.fields.has(key))
        return holds(parseFilter({ [key]: asked }, SHAPE).where, { data: row }, this.#rows);
      const related = this.#related(entity, row, key);
      const { target } = relationOf(entity, key);
      return asked === null
        ? related.length === 0
        : related.some((one) => this.#matches(target, one, asked as Filter));
    });
  }

  /** The groups of the rows that match. */
  aggregate(question: Question): Result[] {
    const { groupBy, measured, atLeast } = question;
    const groups = new Map<string, { readonly key: [string, Value][]; rows: StoredRow[] }>();
    if (groupBy.length === 0) groups.set("[]", { key: [], rows: [] });
    for (const row of this.found(question)) {
      const key = groupBy.map((item): [string, Value] =>
        typeof item === "string"
          ? [item, this.#groupValue(question.entity, row, item)]
          : [item.field, bucketOf(row[item.field] ?? null, item.bucket)],
      );
      const name = JSON.stringify(key);
      const group = groups.get(name) ?? { key, rows: [] };
      groups.set(name, group);
      group.rows.push(row);
    }
    return [...groups.values()]
      .map(({ key, rows }): Result => ({
        ...Object.fromEntries(key),
        ...measuresOf(rows, measured),
      }))
      .filter(({ count }) => Number(count) >= atLeast);
  }

  /** The value of a field of the row, or of the row to which a relation leads. */
  #groupValue(entity: string, row: StoredRow, item: string): Value {
    const [relation = "", field] = item.split(".");
    if (field === undefined) return row[item] ?? null;
    return this.#related(entity, row, relation)[0]?.[field] ?? null;
  }

  /** The rows that contain all words of a text, and the counts of values. */
  search({ entity, where, text, facetFilter }: Question): {
    readonly ids: readonly string[];
    readonly facets: Readonly<Record<string, Readonly<Record<string, number>>>>;
  } {
    const words = wordsOf(text ?? "");
    const all = this.found({ entity, where, order: {} }).filter(({ a }) => {
      const own = wordsOf(String(a));
      return words.every((word) => own.includes(word));
    });
    const passes = (row: StoredRow, without?: string): boolean =>
      Object.entries(facetFilter).every(([name, value]) => name === without || row[name] === value);
    const facets = ["b", "n"].map((name) => {
      const counts = new Map<string, number>();
      for (const row of all)
        if (row[name] !== null && passes(row, name))
          counts.set(String(row[name]), (counts.get(String(row[name])) ?? 0) + 1);
      return [name, Object.fromEntries(counts)] as const;
    });
    return {
      ids: all.filter((row) => passes(row)).map(({ id }) => id),
      facets: Object.fromEntries(facets),
    };
  }
}

function relationOf(owner: string, name: string): (typeof RELATIONS)[number] {
  const found = RELATIONS.find((one) => one.owner === owner && one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
}

/** Words as search compares them: without case and accents. */
function wordsOf(text: string): string[] {
  return (
    text
      .normalize("NFD")
      .toLowerCase()
      .match(/[a-z]+/g) ?? []
  );
}

function bucketOf(at: Value, bucket: Bucket): Value {
  if (typeof at !== "string") return at;
  const length = { day: 10, month: 7, year: 4 }[bucket];
  return `${at.slice(0, length)}${"0000-01-01T00:00:00.000Z".slice(length)}`;
}

function measuresOf(rows: readonly StoredRow[], fields: readonly string[]): Result {
  const measures: Record<string, Value> = { count: rows.length };
  for (const name of fields) {
    const values = rows.map((row) => row[name] ?? null).filter((value) => value !== null);
    const sorted = values.toSorted((a, b) =>
      name === "d" ? compareDecimals(String(a), String(b)) : compareValues(a, b),
    );
    measures[`min_${name}`] = sorted[0] ?? null;
    measures[`max_${name}`] = sorted.at(-1) ?? null;
    measures[`countDistinct_${name}`] = new Set(values).size;
    if (name === "d") measures["sum_d"] = sumOf(values);
    else measures[`sum_${name}`] = values.length === 0 ? null : total(values);
  }
  const texts = rows.filter(({ b }) => b !== null).length;
  return { ...measures, count_b: texts };
}

function total(values: readonly Value[]): number {
  return values.reduce<number>((sum, value) => sum + Number(value), 0);
}

function sumOf(values: readonly Value[]): string | null {
  if (values.length === 0) return null;
  return values.reduce<string>((sum, value) => addDecimals(sum, String(value)), "0");
}
