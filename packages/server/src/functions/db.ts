import { PylonError } from "@pylonsync/protocol";
import type { DbReader, DbWriter } from "@pylonsync/functions";
import { Reads, type ReadScope } from "../data/reads.ts";
import type { DataModel } from "../data/model.ts";
import type { WriteConditions, Writer } from "../data/writer.ts";
import { actingCaller } from "./acting-caller.ts";
import { checkedId, splitId } from "../schema/row-input.ts";
import type { Reader } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";

/**
 * Runs one call of `ctx.db` and records it.
 *
 * @param entity the call's first argument
 * @param id the call's second argument
 */
export type MeasureDb = <T>(
  op: string,
  entity: unknown,
  id: unknown,
  work: () => Promise<T>,
) => Promise<T>;

const UNMEASURED: MeasureDb = (_op, _entity, _id, work) => work();

/** The caller, the time and the observer of `ctx.db`. */
export interface DbScope extends ReadScope {
  /** Default: calls are not recorded. */
  readonly measure?: MeasureDb;
}

/**
 * Creates `ctx.db` of a query. Functions are trusted code: policies do not apply, so a function
 * must check `ctx.auth` itself, or read with `as`.
 */
export function createDbReader(reader: Reader, model: DataModel, scope: DbScope): LooseReader {
  const { measure = UNMEASURED } = scope;
  const reads = new Reads(reader, model, scope);
  return {
    as: (user) => createDbReader(reader, model, actingScope(scope, user)),
    // The id may be null, as in an empty reference of a row. A missing argument is an error.
    get: (entity, id) =>
      measure("get", entity, id, async () =>
        id === null ? null : reads.get(entity, requiredId("get", entity, id)),
      ),
    list: (entity) => measure("list", entity, null, async () => reads.list(entity)),
    lookup: (entity, field, value) =>
      measure("lookup", entity, field, async () => reads.lookup(entity, field, value)),
    query: (entity, filter) =>
      measure("query", entity, filter, async () => reads.query(entity, filter)),
    queryGraph: (graph) => measure("queryGraph", graph, null, async () => reads.queryGraph(graph)),
    paginate: (entity, options) =>
      measure("paginate", entity, options, async () => reads.paginate(entity, options)),
    count: (entity, filter) =>
      measure("count", entity, filter, async () => reads.count(entity, filter)),
    aggregate: (entity, spec) =>
      measure("aggregate", entity, spec, async () => reads.aggregate(entity, spec)),
    search: (entity, spec = {}) =>
      measure("search", entity, spec, async () => reads.search(entity, spec)),
  };
}

/** Creates `ctx.db` of a mutation, whose reads see its own writes. */
export function createDbWriter(writer: Writer, model: DataModel, scope: DbScope): LooseWriter {
  const { measure = UNMEASURED } = scope;
  const reader = createDbReader(writer, model, scope);
  return Object.assign(reader, {
    as: (user: unknown) => {
      const acting = actingScope(scope, user);
      return createDbWriter(writer.withRightsOf(acting.caller), model, acting);
    },
    insert: (entity, data) =>
      measure("insert", entity, data, async () => {
        const { id, fields } = splitId(data);
        return writer.insert(entity, fields, checkedId(id));
      }),
    update: (entity, id, patch, options) =>
      measure("update", entity, id, async () =>
        writer.update(entity, requiredId("update", entity, id), patch, conditionsOf(options)),
      ),
    upsert: (entity, by, data, update) =>
      measure("upsert", entity, by, async () => writer.upsert(entity, { by, data, update })),
    delete: (entity, id, options) =>
      measure("delete", entity, id, async () =>
        writer.delete(entity, requiredId("delete", entity, id), conditionsOf(options)),
      ),
    link: (entity, id, relation, targetId) =>
      measure("link", entity, id, async () => {
        const target = requiredId("link", entity, targetId, "targetId");
        return writer.link(entity, requiredId("link", entity, id), relation, target);
      }),
    unlink: (entity, id, relation) =>
      measure("unlink", entity, id, async () =>
        writer.unlink(entity, requiredId("unlink", entity, id), relation),
      ),
  } satisfies Omit<LooseWriter, Exclude<keyof LooseReader, "as">>);
}

function actingScope(scope: DbScope, user: unknown): DbScope {
  return { ...scope, caller: actingCaller(user), policies: "enforced" };
}

/**
 * Checks the id that a handler passes.
 *
 * @throws PylonError INVALID_ID if it is not a string: a store would treat undefined as null
 */
function requiredId(method: string, entity: string, id: unknown, field = "id"): string {
  if (typeof id === "string") return id;
  const given = id === null || id === undefined ? String(id) : `a ${typeof id}`;
  throw new PylonError(
    "INVALID_ID",
    `ctx.db.${method}("${entity}", ...) was given ${given} as ${field}.`,
    { field, hint: "Pass the id of a row." },
  );
}

/**
 * Checks the options of a write. A condition that is ignored would overwrite what others wrote.
 *
 * @throws PylonError INVALID_DATA
 */
function conditionsOf(options: unknown = {}): WriteConditions {
  const { ifUnchanged, ...others } = isRecord(options) ? options : { options };
  const [other] = Object.keys(others);
  if (other === undefined) return { ifUnchanged };
  throw new PylonError("INVALID_DATA", `A write has no option "${other.slice(0, 80)}".`, {
    field: other.slice(0, 80),
    hint: "Use { ifUnchanged: { updatedAt: row.updatedAt } }.",
  });
}

/**
 * The methods of `DbReader` without the app's types (`Register`): they accept any entity and return
 * any row.
 */
export interface LooseReader extends Record<keyof DbReader, unknown> {
  as(user: unknown): LooseReader;
  get(entity: string, id: unknown): Promise<unknown>;
  list(entity: string): Promise<unknown>;
  lookup(entity: string, field: string, value: unknown): Promise<unknown>;
  query(entity: string, filter?: unknown): Promise<unknown>;
  queryGraph(graph: unknown): Promise<unknown>;
  paginate(entity: string, options?: unknown): Promise<unknown>;
  count(entity: string, filter?: unknown): Promise<number>;
  aggregate(entity: string, spec: unknown): Promise<unknown>;
  search(entity: string, spec?: unknown): Promise<unknown>;
}

type WriterMethods = Record<Exclude<keyof DbWriter, keyof DbReader>, unknown>;

/** The methods of `DbWriter` without the app's types. */
export interface LooseWriter extends LooseReader, WriterMethods {
  as(user: unknown): LooseWriter;
  insert(entity: string, data: unknown): Promise<string>;
  update(
    entity: string,
    id: unknown,
    patch: Readonly<Record<string, unknown>>,
    options?: unknown,
  ): Promise<boolean>;
  upsert(
    entity: string,
    by: unknown,
    data: unknown,
    update?: unknown,
  ): Promise<{ readonly id: string; readonly created: boolean }>;
  delete(entity: string, id: unknown, options?: unknown): Promise<boolean>;
  link(entity: string, id: unknown, relation: string, targetId: unknown): Promise<boolean>;
  unlink(entity: string, id: unknown, relation: string): Promise<boolean>;
}
