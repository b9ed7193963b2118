import type { RelationKind, Row } from "@pylonsync/protocol";
import { parseUnknownFilter, QueryError, rowComparator, type Order } from "@pylonsync/query";
import { Emitter } from "../platform/emitter.ts";
import type { IncludeOptions, LiveList, QueryOptions, RelatedOptions } from "./live-query.ts";
import type { LocalStore } from "./local-store.ts";

/** The lists from which an included list is built. */
export interface ListSource {
  /** The rows themselves. */
  readonly rows: LiveList;
  /**
   * Rows of the replica.
   *
   * @param asked the filter with which the server sends them, if it does
   */
  related(
    store: LocalStore,
    entity: string,
    options: QueryOptions,
    asked: QueryOptions["where"],
  ): LiveList;
}

/** A row with related rows. */
type JoinedRow = Row;

/** Related rows of one parent. */
interface Part {
  readonly list: LiveList;
  readonly stop: () => void;
  /** The last result built from the list. */
  rows: readonly Row[];
  joined: readonly JoinedRow[];
  isUsed: boolean;
}

/** A row, and its last result. */
interface Joined {
  readonly parts: readonly unknown[];
  readonly row: JoinedRow;
}

const NONE: readonly Row[] = [];

/**
 * The rows of a query with their related rows, joined from lists of the replica: one for the rows,
 * and one for each parent row. A row stays the same object until it, or a row under it, changes.
 */
export class IncludedList implements LiveList {
  readonly #root: LiveList;
  readonly #level: Level;
  readonly #changed = new Emitter<void>();
  readonly #isShapeKnown: () => boolean;
  #listeners = 0;
  #stop: () => void = () => undefined;
  #rows: readonly JoinedRow[] = NONE;

  /** @param include checked by `IncludedQuery` */
  constructor(store: LocalStore, entity: string, include: IncludeOptions, source: ListSource) {
    this.#root = source.rows;
    this.#isShapeKnown = () => store.shape(entity) !== undefined;
    this.#level = new Level(entity, include, {
      store,
      source,
      follows: () => this.#listeners > 0,
      changed: () => this.#changed.emit(),
    });
  }

  isReady(): boolean | null {
    return this.#root.isReady();
  }

  getSnapshot(): readonly JoinedRow[] {
    const rows = this.#root.getSnapshot();
    // The definitions of relations arrive with the replica.
    const joined = rows.length > 0 && this.#isShapeKnown() ? this.#level.join(rows) : NONE;
    this.#level.sweep();
    if (!isSameList(joined, this.#rows)) this.#rows = joined;
    return this.#rows;
  }

  subscribe(listener: () => void): () => void {
    const unsubscribe = this.#changed.on(() => listener());
    this.#listeners += 1;
    if (this.#listeners === 1) {
      this.#stop = this.#root.subscribe(() => this.#changed.emit());
      this.#follow();
    }
    let isStopped = false;
    return () => {
      if (isStopped) return;
      isStopped = true;
      unsubscribe();
      this.#listeners -= 1;
      if (this.#listeners > 0) return;
      this.#stop();
      this.#level.sweep(true);
    };
  }

  /** Subscribes to changes of the lists of related rows. */
  #follow(): void {
    this.#level.sweep(true);
    try {
      this.getSnapshot();
    } catch {
      // Errors are reported when the list is read.
    }
  }
}

interface LevelOptions {
  readonly store: LocalStore;
  readonly source: ListSource;
  /** Whether there are subscribers. */
  readonly follows: () => boolean;
  readonly changed: () => void;
}

/** Rows of one entity, and their related rows. */
class Level {
  readonly #entity: string;
  readonly #options: LevelOptions;
  readonly #branches: readonly Branch[];
  #joined = new WeakMap<Row, Joined>();

  constructor(entity: string, include: IncludeOptions, options: LevelOptions) {
    this.#entity = entity;
    this.#options = options;
    this.#branches = Object.entries(include).map(
      ([name, asked]) => new Branch(name, asked === true ? {} : asked, options),
    );
  }

  get isLeaf(): boolean {
    return this.#branches.length === 0;
  }

  join(rows: readonly Row[]): readonly JoinedRow[] {
    if (this.isLeaf) return rows;
    const found = this.#branches.map((branch) => ({
      branch,
      relation: this.#relation(branch.name),
    }));
    return rows.map((row) => {
      const parts = found.map(({ branch, relation }) => branch.of(row, relation));
      const known = this.#joined.get(row);
      if (known !== undefined && isSameList(known.parts, parts)) return known.row;
      const added = found.map(({ branch }, index): [string, unknown] => [
        branch.name,
        parts[index],
      ]);
      const joined = { row: { ...row, ...Object.fromEntries(added) }, parts };
      this.#joined.set(row, joined);
      return joined.row;
    });
  }

  /** Releases the lists that were not read since the last call. */
  sweep(isAll = false): void {
    for (const branch of this.#branches) branch.sweep(isAll);
  }

  #relation(name: string): RelationKind {
    const relation = this.#options.store.relation(this.#entity, name);
    if (relation !== null) return relation;
    throw new QueryError("INVALID_QUERY", `${this.#entity} has no relation "${name}".`, {
      field: `include.${name}`,
      hint: "Declare it in app.ts. Older servers do not send relations.",
    });
  }
}

/** The related rows of one relation, for all parents. */
class Branch {
  readonly name: string;
  readonly #asked: RelatedOptions;
  readonly #options: LevelOptions;
  readonly #order: readonly Order[];
  readonly #parts = new Map<string, Part>();
  /** Created when the entity of the rows is known. */
  #level: { readonly entity: string; readonly level: Level } | null = null;
  readonly #lists = new WeakMap<Row, readonly JoinedRow[]>();

  constructor(name: string, asked: RelatedOptions, options: LevelOptions) {
    this.name = name;
    this.#asked = asked;
    this.#options = options;
    const { order } = asked;
    this.#order = order === undefined ? [] : parseUnknownFilter({ $order: order }).order;
  }

  /** Returns the related value of a row: a list, a row or null. */
  of(row: Row, { isMany, rows }: RelationKind): readonly JoinedRow[] | JoinedRow | null {
    const key = rows === null ? null : (row[rows.key] ?? null);
    if (rows === null || key === null) return isMany ? NONE : null;
    if (rows.through !== null) return this.#over(row, rows, rows.through);
    const { where = {}, order: orderBy, limit } = this.#asked;
    const options = { where: { $and: [where, { [rows.field]: key }] }, orderBy, limit };
    const found = this.#part(rows.entity, options, String(key));
    return isMany ? found : (found[0] ?? null);
  }

  sweep(isAll: boolean): void {
    for (const [key, part] of this.#parts) {
      const isKept = part.isUsed && !isAll;
      part.isUsed = false;
      if (isKept) continue;
      part.stop();
      this.#parts.delete(key);
    }
    this.#level?.level.sweep(isAll);
  }

  /** Rows that are joined through another entity, without duplicates. */
  #over(
    row: Row,
    { entity, key, field }: NonNullable<RelationKind["rows"]>,
    through: { readonly entity: string; readonly targetField: string },
  ): readonly JoinedRow[] {
    const { where = {}, limit } = this.#asked;
    const own = { where: { [field]: row[key] } };
    const joints = this.#listOf(through.entity, own, `joint ${String(row[key])}`).rows;
    const ids = new Set(joints.map((joint) => joint[through.targetField] ?? null));
    ids.delete(null);
    const found = [...ids].flatMap((id) =>
      this.#part(entity, { where: { $and: [where, { id }] } }, String(id)),
    );
    const sorted = found.toSorted(rowComparator(this.#order)).slice(0, limit);
    const known = this.#lists.get(row) ?? NONE;
    if (isSameList(known, sorted)) return known;
    this.#lists.set(row, sorted);
    return sorted;
  }

  /** Returns rows with their own related rows. */
  #part(entity: string, options: QueryOptions, key: string): readonly JoinedRow[] {
    if (this.#level?.entity !== entity)
      this.#level = {
        entity,
        level: new Level(entity, this.#asked.include ?? {}, this.#options),
      };
    const part = this.#listOf(entity, options, key);
    const joined = this.#level.level.join(part.rows);
    if (!isSameList(joined, part.joined)) part.joined = joined;
    return part.joined;
  }

  #listOf(entity: string, options: QueryOptions, key: string): Part {
    const { store, source, follows, changed } = this.#options;
    let part = this.#parts.get(key);
    if (part === undefined) {
      const list = source.related(store, entity, options, this.#asked.where);
      const stop = follows() ? list.subscribe(changed) : () => undefined;
      part = { list, stop, rows: NONE, joined: NONE, isUsed: true };
      this.#parts.set(key, part);
    }
    part.isUsed = true;
    part.rows = part.list.getSnapshot();
    return part;
  }
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
