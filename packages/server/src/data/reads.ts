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
} from "@pylonsync/query";
import type { ManifestRelation } from "@pylonsync/sdk";
import type { Entity } from "../schema/schema.ts";
import { checkRange } from "../store/number-range.ts";
import type { Reader, StoredRow, Value } from "../store/store.ts";
import { isFull } from "../store/row-size.ts";
import { parseAggregate, type AggregateSource, type ParsedAggregate } from "./aggregate.ts";
import type { Caller } from "../identity/identity.ts";
import { checkKeyScope, coversKeyScope } from "../identity/key-scope.ts";
import { runGraph } from "./graph.ts";
import {
  IncludeBudget,
  joinIncludes,
  parseIncludes,
  type IncludedRow,
  type IncludePath,
  type IncludeSource,
} from "./include.ts";
import { withOtherNames } from "./aggregate-names.ts";
import type { DataModel } from "./model.ts";
import { parsePage, readPage, type Page } from "./paginate.ts";
import { relationsOf } from "./related-filters.ts";
import { pathOf } from "./relation-path.ts";
import { parseSearch, textSearch } from "./parse-search.ts";
import { runSearch, type SearchAnswer } from "./search.ts";
import { resultTooLarge } from "./result-size.ts";
import { RuleEnv } from "./rules.ts";
import { isRecord } from "../util/is-record.ts";
import { bucketMoments, localBuckets, withOffsets } from "./zoned-groups.ts";

/** The caller and settings with which rows are read. */
export interface ReadScope {
  readonly caller: Caller;
  /** `bypassed` for server functions, which are trusted code. */
  readonly policies: "enforced" | "bypassed";
  /**
   * Milliseconds since 1970; the value of `now()` in a policy. Null: conditions keep `now()`, to be
   * compared, or to be given to a reader that has a time.
   */
  readonly now: number | null;
  /** Milliseconds, for measuring. */
  readonly monotonic: () => number;
}

/** What a read depends on, beside the rows. */
export interface ReadParts {
  /** The filter of the caller. */
  readonly where: Expr;
  /** Such as the condition of the read policy. */
  readonly others: readonly unknown[];
}

/**
 * Reads on behalf of a caller: every method adds the read policy to the query, so that pages are
 * full, and counts and aggregates reveal nothing about hidden rows.
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

  /** Responses to a caller from outside are bounded in size; functions are trusted code. */
  get isBounded(): boolean {
    return this.#scope.policies === "enforced";
  }

  async get(entityName: string, id: string): Promise<StoredRow | null> {
    const entity = this.#entity(entityName);
    // No row has an invalid id, which a database may not even accept as a value.
    const row = isRowId(id) ? await this.#reader.get(entity.name, id) : null;
    if (row === null) return null;
    if (this.#scope.policies === "bypassed") return entity.sealing.opened(row);
    const env = new RuleEnv(this.#scope.caller, this.#scope.now ?? 0, row);
    return (await this.#model.rules.allows(this.#reader, entity.name, "read", env))
      ? entity.visible(row)
      : null;
  }

  /**
   * Returns a page of a list: at most `limit` rows, and fewer if MAX_PAGE_BYTES is reached.
   *
   * @returns the rows, and whether there may be more
   */
  async listPage(
    entityName: string,
    limit: number,
    offset: number,
  ): Promise<{ readonly rows: StoredRow[]; readonly hasMore: boolean }> {
    const entity = this.#entity(entityName);
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
    const entity = this.#entity(entityName);
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
   * Returns the rows that match a filter; its `$include` names relations whose rows are included.
   *
   * @throws PylonError INVALID_COLUMN, INVALID_QUERY, RELATION_NOT_FOUND, RESULT_TOO_LARGE
   */
  async query(entityName: string, filter: unknown): Promise<IncludedRow[]> {
    const entity = this.#entity(entityName);
    const { $include: asked, ...rest } = isRecord(filter) ? filter : {};
    if (asked === undefined) return this.#rows(entity, filter);
    const budget = new IncludeBudget(this.isBounded);
    const includes = parseIncludes(entity, asked, "$include", this.#included());
    const rows = await this.#rows(entity, rest, budget.bytes);
    budget.take(rows);
    return joinIncludes(rows, includes, this.#included(), budget);
  }

  /**
   * Runs a part of a graph query like `query`, within a budget that all parts share.
   *
   * @param at the place of its `include`, for messages
   */
  async part(
    entityName: string,
    filter: unknown,
    include: unknown,
    { at, budget }: { readonly at: string; readonly budget: IncludeBudget },
  ): Promise<IncludedRow[]> {
    const entity = this.#entity(entityName);
    const includes = parseIncludes(entity, include, at, this.#included());
    const rows = await this.#rows(entity, filter, budget.bytes);
    budget.take(rows);
    return joinIncludes(rows, includes, this.#included(), budget);
  }

  async #rows(
    entity: Entity,
    filter: unknown,
    maxBytes = this.isBounded ? MAX_RESULT_BYTES : Infinity,
  ): Promise<StoredRow[]> {
    const { where, order, limit, offset, search: text } = this.#parse(entity, filter);
    const search = text === undefined ? undefined : textSearch(entity, text, "$search");
    if (search === null) return [];
    const rows = await this.#reader.select({
      entity: entity.name,
      where: and(where, this.readable(entity)),
      search,
      order,
      limit,
      offset,
      ...(maxBytes === Infinity ? {} : { maxBytes }),
    });
    if (maxBytes !== Infinity && isFull(rows, maxBytes)) throw resultTooLarge();
    return this.#visible(entity, rows);
  }

  async count(entityName: string, filter: unknown = {}): Promise<number> {
    const entity = this.#entity(entityName);
    return this.#reader.count(
      entity.name,
      and(this.#filter(entity, filter).where, this.readable(entity)),
    );
  }

  /**
   * Returns the first row, by id, whose field has this value. Null is not a value, so no row
   * matches it.
   *
   * @throws PylonError INVALID_QUERY for undefined, INVALID_COLUMN
   */
  async lookup(entityName: string, field: string, value: unknown): Promise<StoredRow | null> {
    const entity = this.#entity(entityName);
    if (value === null) {
      columnKind(this.#shape(entity), field, field);
      return null;
    }
    const rows = await this.#rows(entity, { [field]: { $eq: value }, $limit: 1 });
    return rows[0] ?? null;
  }

  /**
   * Returns a page of the matching rows, in any order, and the cursors of its neighbours: `{where?,
   * order?, cursor?, limit?, include?}`. `numItems`, the older name of `limit`, is clamped to
   * 1..MAX_PAGE_SIZE; a page may have fewer rows if MAX_PAGE_BYTES is reached.
   *
   * @throws PylonError INVALID_QUERY, INVALID_COLUMN
   */
  async paginate(entityName: string, options: unknown = {}): Promise<Page<IncludedRow>> {
    const entity = this.#entity(entityName);
    const { include, ...rest } = isRecord(options) ? options : {};
    const request = parsePage(entity, isRecord(options) ? rest : options);
    const includes =
      include === undefined ? [] : parseIncludes(entity, include, "include", this.#included());
    const { where } = this.#filter(entity, request.query.where);
    const found = await readPage(this.#reader, request, and(where, this.readable(entity)));
    const page = this.#visible(entity, found.page);
    if (includes.length === 0) return { ...found, page };
    const budget = new IncludeBudget(this.isBounded);
    budget.take(page);
    return { ...found, page: await joinIncludes(page, includes, this.#included(), budget) };
  }

  /** @throws PylonError INVALID_QUERY, INVALID_COLUMN, RESULT_TOO_LARGE */
  async aggregate(entityName: string, spec: unknown): Promise<Record<string, Value>[]> {
    const entity = this.#entity(entityName);
    const { where, groupBy, ...asked } = this.#aggregate(entity, spec);
    const matching = { entity: entity.name, where: and(where, this.readable(entity)) };
    const groups = await withOffsets(this.#reader, matching, groupBy);
    const rows = await this.#reader.aggregate({
      ...asked,
      ...matching,
      groupBy: groups,
      ...(this.isBounded
        ? { limit: asked.limit ?? MAX_GROUPS + 1, maxBytes: MAX_RESULT_BYTES }
        : {}),
    });
    if (this.isBounded && (rows.length > MAX_GROUPS || isFull(rows, MAX_RESULT_BYTES)))
      throw new PylonError(
        "RESULT_TOO_LARGE",
        `The aggregate has more than ${MAX_GROUPS} groups, or is too large for a response.`,
        {
          field: "groupBy",
          hint: "Group by a field with fewer values, or restrict the rows with where.",
        },
      );
    checkRange(rows, asked.measures, (field) => entity.shape.fields.get(field) === "int");
    return rows.map((row) => ({
      ...withOtherNames(localBuckets(row, groups), { groupBy, measures: asked.measures }),
      ...bucketMoments(row, groups),
    }));
  }

  /**
   * Returns everything that an aggregate reads of the store. It is equal for callers who get the
   * same result.
   *
   * @throws PylonError INVALID_QUERY, INVALID_COLUMN
   */
  partsOfAggregate(entityName: string, spec: unknown): ReadParts {
    const entity = this.#entity(entityName);
    const { where, ...rest } = this.#aggregate(entity, spec);
    return { where, others: [rest, this.readable(entity)] };
  }

  /**
   * Returns everything that a search reads of the store, and the fields of its hits.
   *
   * @throws PylonError SEARCH_NOT_CONFIGURED, INVALID_QUERY, INVALID_COLUMN
   */
  partsOfSearch(entityName: string, spec: unknown): ReadParts {
    const entity = this.#entity(entityName);
    const request = parseSearch(entity, spec);
    const { where } = this.#filter(entity, request.filters);
    return { where, others: [this.readable(entity), [...this.#shape(entity).fields.keys()]] };
  }

  #aggregate(entity: Entity, spec: unknown): ParsedAggregate {
    return parseAggregate(this.#shape(entity), spec, {
      parseWhere: (filter) => this.#filter(entity, filter).where,
      related: (relation, at) => this.#relatedRow(entity, relation, at),
    });
  }

  /**
   * `{Todo: {where?, order?, include?: {owner: {}}, limit?}}`: rows with their related rows under
   * the relation's name.
   */
  queryGraph(graph: unknown): Promise<Record<string, IncludedRow[]>> {
    return runGraph(this, graph);
  }

  /**
   * Runs the search `{query?, filters?, facets?, sort?, page?, pageSize?, highlight?}`: returns the
   * rows that contain the words of the query, the best first, and the counts of facet values.
   *
   * @throws PylonError SEARCH_NOT_CONFIGURED, INVALID_QUERY, INVALID_COLUMN, RESULT_TOO_LARGE
   */
  async search(entityName: string, spec: unknown): Promise<SearchAnswer> {
    const entity = this.#entity(entityName);
    return runSearch(
      {
        reader: this.#reader,
        entity,
        where: (filters) => and(this.#filter(entity, filters).where, this.readable(entity)),
        visible: (rows) => this.#visible(entity, rows),
        isBounded: this.isBounded,
        monotonic: this.#scope.monotonic,
      },
      parseSearch(entity, spec),
    );
  }

  /** Returns the condition of the read policy on `data`. */
  readable(entity: Entity): Expr {
    if (this.#scope.policies === "bypassed") return TRUE;
    const { caller, now } = this.#scope;
    const time = now === null ? undefined : new Date(now).toISOString();
    return this.#model.rules.readable(entity.name, caller, time);
  }

  /** The entity as the caller sees it. */
  #entity(name: string): Entity {
    return this.#scope.policies === "bypassed"
      ? this.#model.entity(name)
      : this.#model.entityFor(name, this.#scope.caller);
  }

  /**
   * The entity to which a relation leads. An API key for the rows of one entity gets no rows of
   * another entity by it.
   *
   * @throws PylonError INSUFFICIENT_SCOPE
   */
  #relatedEntity(name: string): Entity {
    const entity = this.#entity(name);
    const { caller, policies } = this.#scope;
    const known = [entity.name, ...entity.oldNames];
    if (
      policies === "enforced" &&
      !known.some((one) => coversKeyScope(caller, "read", `entities:${one}:read`))
    )
      checkKeyScope(caller, "read", { entity: entity.name });
    return entity;
  }

  /**
   * The fields that queries may use: filtering, sorting or counting by a hidden field would reveal
   * it.
   */
  #shape(entity: Entity): EntityShape {
    return this.#scope.policies === "bypassed" ? entity.shape : entity.publicShape;
  }

  #visible(entity: Entity, rows: StoredRow[]): StoredRow[] {
    if (this.#scope.policies === "enforced" && entity.shape !== entity.publicShape)
      return rows.map(entity.visible);
    return entity.isEncrypted ? rows.map(entity.sealing.opened) : rows;
  }

  /**
   * @throws QueryError INVALID_COLUMN if it uses a field that queries may not use
   * @throws PylonError INSUFFICIENT_SCOPE
   */
  #pathOf(relation: ManifestRelation, at: string): IncludePath {
    const target = this.#relatedEntity(relation.target);
    const { key, field, through } = pathOf(relation);
    if (through === null) {
      columnKind(this.#shape(target), field, at);
      return { key, field, through };
    }
    const between = this.#relatedEntity(through.entity);
    for (const name of [field, through.targetField]) columnKind(this.#shape(between), name, at);
    return { key, field, through: { ...through, entity: between } };
  }

  /** The row to which a relation leads, if the caller may read it. */
  #relatedRow(owner: Entity, name: string, at: string): ReturnType<AggregateSource["related"]> {
    const relation = owner.relations.get(name);
    if (relation === undefined || relation.many === true) return undefined;
    const { key } = this.#pathOf(relation, at);
    columnKind(this.#shape(owner), key, at);
    const target = this.#relatedEntity(relation.target);
    const row = { entity: target.name, key, where: this.readable(target) };
    return { shape: this.#shape(target), row };
  }

  /** The access with which related rows are included. */
  #included(): IncludeSource {
    return {
      select: (query) => this.#reader.select(query),
      entity: (name) => this.#entity(name),
      // A field that is hidden from the caller leads to no rows.
      pathOf: (relation, at) => this.#pathOf(relation, at),
      filter: (entity, filter) => this.#filter(entity, filter),
      readable: (entity) => this.readable(entity),
      visible: (entity, rows) => this.#visible(entity, rows),
    };
  }

  #parse(entity: Entity, filter: unknown): ParsedFilter {
    return parseFilter(filter ?? {}, this.#shape(entity), {
      relations: relationsOf(entity, {
        entity: (name) => this.#entity(name),
        shape: (related) => this.#shape(related),
        readable: (related) => this.readable(related),
        pathOf: (relation, at) => this.#pathOf(relation, at),
      }),
    });
  }

  /** Parses a filter that consists of a condition only. */
  #filter(entity: Entity, filter: unknown): ParsedFilter {
    const parsed = this.#parse(entity, filter);
    if (parsed.search !== undefined) {
      throw new PylonError("INVALID_QUERY", "$search is only supported in queries.", {
        field: "$search",
        hint: `Use POST /api/search/${entity.name} to count or to page.`,
      });
    }
    return parsed;
  }
}

/** The condition for the rows after `id` in the default order. */
export function idAfter(id: string): Expr {
  return {
    kind: "compare",
    op: ">",
    left: { kind: "path", root: "data", name: "id" },
    right: { kind: "literal", value: id },
  };
}
