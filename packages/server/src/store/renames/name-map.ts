import { PylonError } from "@pylonsync/protocol";
import { mapChildren, type Expr } from "@pylonsync/query";
import type { AppName, AppNames } from "../../schema/table-names.ts";
import { SYSTEM_TABLES } from "../system-tables.ts";
import type {
  Aggregate,
  ChangeRecord,
  NewChange,
  PerParent,
  Select,
  StoredRow,
  TextSearch,
  Value,
} from "../store.ts";
import { uniqueViolation } from "../unique-violation.ts";

type Fields = Readonly<Record<string, Value>>;

/** The names of one entity in the app and in the database. */
class EntityNames {
  readonly entity: string;
  readonly table: string;
  readonly #columns: ReadonlyMap<string, string>;
  readonly #fields: ReadonlyMap<string, string>;
  readonly #oldFields: readonly (readonly [string, string])[];

  constructor(entity: string, { table, columns, oldFields }: AppName) {
    this.entity = entity;
    this.table = table;
    this.#oldFields = Object.entries(oldFields);
    const own = Object.entries(columns);
    const old = this.#oldFields.map(([name, field]): [string, string] => [
      name,
      Object.hasOwn(columns, field) ? (columns[field] ?? field) : field,
    ]);
    this.#columns = new Map([...old, ...own]);
    this.#fields = new Map(own.map(([field, column]) => [column, field]));
  }

  column(field: string): string {
    return this.#columns.get(field) ?? field;
  }

  field(column: string): string {
    return this.#fields.get(column) ?? column;
  }

  /**
   * Converts values to be written: they have current field names only, so old names are dropped.
   */
  toColumns<V>(fields: Readonly<Record<string, V>>): Record<string, V> {
    const old = new Set(this.#oldFields.map(([name]) => name));
    return Object.fromEntries(
      Object.entries(fields)
        .filter(([name]) => !old.has(name))
        .map(([name, value]) => [this.column(name), value]),
    );
  }

  /** @param withOldNames adds each renamed field under its old names, too */
  toFields(row: StoredRow, withOldNames: boolean): StoredRow {
    const named: Record<string, Value> & { id: string } = { id: row.id };
    for (const [column, value] of Object.entries(row)) named[this.field(column)] = value;
    if (!withOldNames) return named;
    for (const [old, field] of this.#oldFields) {
      const value = named[field];
      if (value !== undefined) named[old] = value;
    }
    return named;
  }
}

/**
 * Translates queries from the app's names to those of the database, and results in the other
 * direction. Entities and fields without a rename are passed through unchanged.
 */
export class NameMap {
  readonly isEmpty: boolean;
  readonly #byEntity: ReadonlyMap<string, EntityNames>;
  readonly #byTable: ReadonlyMap<string, EntityNames>;

  constructor(names: AppNames) {
    const all = Object.entries(names).map(([entity, name]) => new EntityNames(entity, name));
    this.isEmpty = all.length === 0;
    this.#byEntity = new Map(all.map((name) => [name.entity, name]));
    this.#byTable = new Map(all.map((name) => [name.table, name]));
  }

  table(entity: string): string {
    return this.#byEntity.get(entity)?.table ?? entity;
  }

  column(entity: string, field: string): string {
    return this.#byEntity.get(entity)?.column(field) ?? field;
  }

  toColumns(entity: string, fields: Fields): Record<string, Value> {
    if (entity === SYSTEM_TABLES.files.name) return { ...this.#toStoredFile(fields) };
    if (entity === SYSTEM_TABLES.documents.name) return this.#toStoredDocument(fields);
    return this.#byEntity.get(entity)?.toColumns(fields) ?? fields;
  }

  toTableRow(entity: string, row: StoredRow): StoredRow {
    return { ...this.toColumns(entity, row), id: row.id };
  }

  toRow(entity: string, row: StoredRow, withOldNames: boolean): StoredRow {
    if (entity === SYSTEM_TABLES.files.name) return this.#toFile(row);
    if (entity === SYSTEM_TABLES.documents.name) return this.#toDocument(row);
    return this.#byEntity.get(entity)?.toFields(row, withOldNames) ?? row;
  }

  /** Also translates the rows: `entity`, and the fields in them. */
  toStoredChange(change: NewChange): NewChange {
    const { entity, before, after } = change;
    return {
      ...change,
      entity: this.table(entity),
      before: before && this.toTableRow(entity, before),
      after: after && this.toTableRow(entity, after),
    };
  }

  toChange(change: ChangeRecord): ChangeRecord {
    const names = this.#byTable.get(change.entity);
    if (names === undefined) return change;
    return {
      ...change,
      entity: names.entity,
      before: change.before && names.toFields(change.before, true),
      after: change.after && names.toFields(change.after, true),
    };
  }

  toSelect<S extends Select>(select: S): S {
    const { entity, where, search, order, perParent } = select;
    return {
      ...select,
      entity: this.table(entity),
      ...(where === undefined ? {} : { where: this.expr(entity, where) }),
      ...(search === undefined ? {} : { search: this.#toSearch(entity, search) }),
      ...(order === undefined
        ? {}
        : { order: order.map((key) => ({ ...key, field: this.column(entity, key.field) })) }),
      ...(perParent === undefined ? {} : { perParent: this.#toPerParent(entity, perParent) }),
    };
  }

  /** Groups and measures have their own names, which `having` and `order` use, too. */
  toAggregate(spec: Aggregate): Aggregate {
    const { entity, where, search, groupBy, measures } = spec;
    return {
      ...spec,
      entity: this.table(entity),
      ...(where === undefined ? {} : { where: this.expr(entity, where) }),
      ...(search === undefined ? {} : { search: this.#toSearch(entity, search) }),
      groupBy: groupBy.map(({ related, ...key }) =>
        related === undefined
          ? { ...key, field: this.column(entity, key.field) }
          : {
              ...key,
              field: this.column(related.entity, key.field),
              related: {
                entity: this.table(related.entity),
                key: this.column(entity, related.key),
                where: this.expr(related.entity, related.where),
              },
            },
      ),
      measures: measures.map((measure) =>
        measure.field === undefined
          ? measure
          : { ...measure, field: this.column(entity, measure.field) },
      ),
    };
  }

  /**
   * @param data the entity whose row is `data`; empty if there is none
   * @param related the entities of the enclosing `exists`, the innermost first
   */
  expr(data: string, expr: Expr, related: readonly string[] = []): Expr {
    if (expr.kind === "path") {
      if (expr.root === "data") return { ...expr, name: this.column(data, expr.name) };
      if (expr.root === "related")
        return { ...expr, name: this.column(related[0] ?? "", expr.name) };
      return expr;
    }
    if (expr.kind === "outer")
      return { ...expr, name: this.column(related[expr.up] ?? "", expr.name) };
    if (expr.kind === "exists") {
      const { entity, where } = expr;
      const within = [entity, ...related];
      return { ...expr, entity: this.table(entity), where: this.expr(data, where, within) };
    }
    if (expr.kind === "hasRelated") {
      const { entity, field, key, where } = expr;
      return {
        ...expr,
        entity: this.table(entity),
        field: this.column(entity, field),
        key: this.expr(data, key, related),
        where: this.expr(entity, where),
      };
    }
    return mapChildren(expr, (child) => this.expr(data, child, related));
  }

  /** Translates an error of the database to the app's names. */
  toError(entity: string, error: unknown): unknown {
    const names = this.#byEntity.get(entity);
    const isViolation = error instanceof PylonError && error.code === "UNIQUE_VIOLATION";
    if (names === undefined || !isViolation || error.field === undefined) return error;
    return uniqueViolation(error.field.split(", ").map((column) => names.field(column)));
  }

  #toSearch(entity: string, search: TextSearch): TextSearch {
    const fields = search.index.fields.map((field) => ({
      ...field,
      name: this.column(entity, field.name),
    }));
    return { ...search, index: { ...search.index, fields } };
  }

  #toPerParent(entity: string, { field, through, ...rest }: PerParent): PerParent {
    if (through === undefined) return { ...rest, field: this.column(entity, field) };
    return {
      ...rest,
      field: this.column(through.entity, field),
      through: {
        entity: this.table(through.entity),
        targetField: this.column(through.entity, through.targetField),
        where: this.expr(through.entity, through.where),
      },
    };
  }

  /** A file record refers to its field by the names of the database, which never change. */
  #toStoredFile(file: Fields): Fields {
    const { boundEntity: entity, boundField: field } = file;
    if (typeof entity !== "string") return file;
    return {
      ...file,
      boundEntity: this.table(entity),
      ...(typeof field === "string" ? { boundField: this.column(entity, field) } : {}),
    };
  }

  /** A document refers to its entity in the same way. */
  #toStoredDocument(document: Fields): Record<string, Value> {
    const { entity } = document;
    if (typeof entity !== "string") return { ...document };
    return { ...document, entity: this.table(entity) };
  }

  #toDocument(document: StoredRow): StoredRow {
    const { entity: table } = document;
    const names = typeof table === "string" ? this.#byTable.get(table) : undefined;
    return names === undefined ? document : { ...document, entity: names.entity };
  }

  #toFile(file: StoredRow): StoredRow {
    const { boundEntity: table, boundField: column } = file;
    const names = typeof table === "string" ? this.#byTable.get(table) : undefined;
    if (names === undefined) return file;
    return {
      ...file,
      boundEntity: names.entity,
      ...(typeof column === "string" ? { boundField: names.field(column) } : {}),
    };
  }
}

/** For an app without renames. */
export const NO_RENAMES = new NameMap({});
