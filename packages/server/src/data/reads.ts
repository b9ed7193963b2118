import {
  isRowId,
  MAX_GROUPS,
  MAX_PAGE_BYTES,
  MAX_RESULT_BYTES,
  PylonError,
} from "@pylonsync/protocol";
import {
  and,
  columnKind,
  parseFilter,
  TRUE,
  type EntityShape,
  type Expr,
  type ParsedFilter,
  type Relations,
} from "@pylonsync/query";
import type { Entity } from "../schema/schema.ts";
import { checkRange } from "../store/number-range.ts";
import type { Reader, StoredRow, Value } from "../store/store.ts";
import { isFull } from "../store/row-size.ts";
import { parseAggregate } from "./aggregate.ts";
import type { Caller } from "../identity/identity.ts";
import { runGraph, type GraphRow } from "./graph.ts";
import { withOtherNames } from "./aggregate-names.ts";
import type { DataModel } from "./model.ts";
import { parsePage, readPage, type Page } from "./paginate.ts";
import { resultTooLarge } from "./result-size.ts";
import { RuleEnv } from "./rules.ts";

/** With whose eyes rows are read. */
export interface ReadScope {
  readonly caller: Caller;
  /** `bypassed` for server functions, which are trusted code. */
  readonly policies: "enforced" | "bypassed";
  /** Milliseconds since 1970; what `now()` in a policy means. */
  readonly now: number;
}

/**
 * Reads with the caller's eyes: every method puts the read rule into the query, so that pages are
 * full, and counts and aggregates tell nothing of hidden rows.
 */
export class Reads {
  readonly #reader: Reader;
  readonly #model: DataModel;
  readonly #scope: ReadScope;

  constructor(reader: Reader, model: DataModel, scope: ReadScope) {
    this.#reader = reader;
    this.#model = model;
    this.#scope = scope;
  }

  /** Answers go to a caller from outside, so their size is bounded; functions are trusted code. */
  get isBounded(): boolean {
    return this.#scope.policies === "enforced";
  }

  async get(entityName: string, id: string): Promise<StoredRow | null> {
    const entity = this.#model.entity(entityName);
    // No row has an id that can't be one; a database may not even take it as a value.
    const row = isRowId(id) ? await this.#reader.get(entity.name, id) : null;
    if (row === null || this.#scope.policies === "bypassed") return row;
    const env = new RuleEnv(this.#scope.caller, this.#scope.now, row);
    return (await this.#model.rules.allows(this.#reader, entity.name, "read", env))
      ? entity.visible(row)
      : null;
  }

  /**
   * A page of a list: at most `limit` rows, and fewer where MAX_PAGE_BYTES ends it.
   *
   * @returns the rows, and whether there may be more
   */
  async listPage(
    entityName: string,
    limit: number,
    offset: number,
  ): Promise<{ readonly rows: StoredRow[]; readonly hasMore: boolean }> {
    const entity = this.#model.entity(entityName);
    const rows = await this.#reader.select({
      entity: entity.name,
      where: this.readable(entity),
      limit: limit + 1,
      offset,
      maxBytes: MAX_PAGE_BYTES,
    });
    return {
      rows: this.#visible(entity, rows.slice(0, limit)),
      hasMore: rows.length > limit || isFull(rows, MAX_PAGE_BYTES),
    };
  }

  async list(entityName: string, limit?: number, offset?: number): Promise<StoredRow[]> {
    const entity = this.#model.entity(entityName);
    return this.#visible(
      entity,
      await this.#reader.select({
        entity: entity.name,
        where: this.readable(entity),
        limit,
        offset,
      }),
    );
  }

  /**
   * @param maxBytes most that the rows may hold; default MAX_RESULT_BYTES for callers from outside
   * @throws PylonError INVALID_COLUMN, INVALID_QUERY, RESULT_TOO_LARGE
   */
  async query(
    entityName: string,
    filter: unknown,
    maxBytes = this.isBounded ? MAX_RESULT_BYTES : Infinity,
  ): Promise<StoredRow[]> {
    const entity = this.#model.entity(entityName);
    const { where, order, limit, offset } = this.#filter(entity, filter);
    const rows = await this.#reader.select({
      entity: entity.name,
      where: and(where, this.readable(entity)),
      order,
      limit,
      offset,
      ...(maxBytes === Infinity ? {} : { maxBytes }),
    });
    if (maxBytes !== Infinity && isFull(rows, maxBytes)) throw resultTooLarge();
    return this.#visible(entity, rows);
  }

  async count(entityName: string, filter: unknown = {}): Promise<number> {
    const entity = this.#model.entity(entityName);
    return this.#reader.count(
      entity.name,
      and(this.#filter(entity, filter).where, this.readable(entity)),
    );
  }

  /**
   * The first row, by id, whose field has this value. Null is not a value, so no row has it.
   *
   * @throws PylonError INVALID_QUERY for undefined, INVALID_COLUMN
   */
  async lookup(entityName: string, field: string, value: unknown): Promise<StoredRow | null> {
    if (value === null) {
      columnKind(this.#shape(this.#model.entity(entityName)), field, field);
      return null;
    }
    const rows = await this.query(entityName, { [field]: { $eq: value }, $limit: 1 });
    return rows[0] ?? null;
  }

  /**
   * A page of the rows that match, in any order, and the cursors of its neighbours: `{where?,
   * order?, cursor?, limit?}`. `numItems`, the older name of `limit`, is brought into
   * 1..MAX_PAGE_SIZE; a page may have fewer rows where MAX_PAGE_BYTES ends it.
   *
   * @throws PylonError INVALID_QUERY, INVALID_COLUMN
   */
  async paginate(entityName: string, options: unknown = {}): Promise<Page> {
    const entity = this.#model.entity(entityName);
    const request = parsePage(entity, options);
    const { where } = this.#filter(entity, request.query.where);
    const found = await readPage(this.#reader, request, and(where, this.readable(entity)));
    return { ...found, page: this.#visible(entity, found.page) };
  }

  /** @throws PylonError INVALID_QUERY, INVALID_COLUMN, RESULT_TOO_LARGE */
  async aggregate(entityName: string, spec: unknown): Promise<Record<string, Value>[]> {
    const entity = this.#model.entity(entityName);
    const { where, ...asked } = parseAggregate(
      this.#shape(entity),
      spec,
      (filter) => this.#filter(entity, filter).where,
    );
    const rows = await this.#reader.aggregate({
      entity: entity.name,
      ...asked,
      where: and(where, this.readable(entity)),
      ...(this.isBounded
        ? { limit: asked.limit ?? MAX_GROUPS + 1, maxBytes: MAX_RESULT_BYTES }
        : {}),
    });
    if (this.isBounded && (rows.length > MAX_GROUPS || isFull(rows, MAX_RESULT_BYTES)))
      throw new PylonError(
        "RESULT_TOO_LARGE",
        `The aggregate has more than ${MAX_GROUPS} groups, or larger ones than fit an answer.`,
        { field: "groupBy", hint: "Group by a field with fewer values, or narrow it by where." },
      );
    checkRange(rows, asked.measures, (field) => entity.shape.fields.get(field) === "int");
    return rows.map((row) => withOtherNames(row, asked));
  }

  /**
   * `{Todo: {where?, include?: {owner: {}}, limit?}}`: rows with their related rows under the
   * relation's name, one level deep.
   */
  queryGraph(graph: unknown): Promise<Record<string, GraphRow[]>> {
    return runGraph(this, this.#model, graph);
  }

  /** The condition that the read rule puts on `data`. */
  readable(entity: Entity): Expr {
    if (this.#scope.policies === "bypassed") return TRUE;
    return this.#model.rules.readable(
      entity.name,
      this.#scope.caller,
      new Date(this.#scope.now).toISOString(),
    );
  }

  /** What may be asked about: to filter, sort or count by a hidden field would tell of it. */
  #shape(entity: Entity): EntityShape {
    return this.#scope.policies === "bypassed" ? entity.shape : entity.publicShape;
  }

  #visible(entity: Entity, rows: StoredRow[]): StoredRow[] {
    return this.#scope.policies === "bypassed" || entity.shape === entity.publicShape
      ? rows
      : rows.map(entity.visible);
  }

  /**
   * What a filter may ask about related rows: only those that the caller may read, by fields that
   * it may ask about.
   */
  #relationsOf(entity: Entity): Relations {
    return (name, at) => {
      const relation = entity.relations.get(name);
      if (relation === undefined) return undefined;
      const target = this.#model.entity(relation.target);
      const isMany = relation.many === true;
      columnKind(this.#shape(isMany ? target : entity), relation.field, at);
      return {
        entity: this.#shape(target),
        key: isMany ? "id" : relation.field,
        field: isMany ? relation.field : "id",
        readable: this.readable(target),
        relations: this.#relationsOf(target),
      };
    };
  }

  #filter(entity: Entity, filter: unknown): ParsedFilter {
    const parsed = parseFilter(filter ?? {}, this.#shape(entity), {
      relations: this.#relationsOf(entity),
    });
    if (parsed.search !== undefined) {
      throw new PylonError(
        "INVALID_QUERY",
        `$search is not supported in a filter of ${entity.name}.`,
        { field: "$search", hint: "Use $like for a substring." },
      );
    }
    return parsed;
  }
}

/** The rows that come after `id` in the default order. */
export function idAfter(id: string): Expr {
  return {
    kind: "compare",
    op: ">",
    left: { kind: "path", root: "data", name: "id" },
    right: { kind: "literal", value: id },
  };
}
