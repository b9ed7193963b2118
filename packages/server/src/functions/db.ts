import { PylonError } from "@pylonsync/protocol";
import type { DbReader, DbWriter } from "@pylonsync/functions";
import { Reads, type ReadScope } from "../data/reads.ts";
import type { DataModel } from "../data/model.ts";
import type { Writer } from "../data/writer.ts";
import { checkedId, splitId } from "../schema/row-input.ts";
import type { Reader } from "../store/store.ts";

/**
 * `ctx.db` of a query. Functions are trusted code: policies do not apply, so a function checks
 * `ctx.auth` itself.
 */
export function createDbReader(
  reader: Reader,
  model: DataModel,
  scope: Omit<ReadScope, "policies">,
): LooseReader {
  const reads = new Reads(reader, model, { ...scope, policies: "bypassed" });
  return {
    // A row's empty reference leads nowhere; a missing argument is a mistake.
    get: async (entity, id) => (id === null ? null : reads.get(entity, givenId("get", entity, id))),
    list: (entity) => reads.list(entity),
    lookup: (entity, field, value) => reads.lookup(entity, field, value),
    query: (entity, filter) => reads.query(entity, filter),
    queryGraph: (graph) => reads.queryGraph(graph),
    paginate: (entity, options) => reads.paginate(entity, options),
    count: (entity, filter) => reads.count(entity, filter),
    aggregate: (entity, spec) => reads.aggregate(entity, spec),
  };
}

/** `ctx.db` of a mutation: reads see its own writes. */
export function createDbWriter(
  writer: Writer,
  model: DataModel,
  scope: Omit<ReadScope, "policies">,
): LooseWriter {
  return {
    ...createDbReader(writer, model, scope),
    insert: async (entity, data) => {
      const { id, fields } = splitId(data);
      return writer.insert(entity, fields, checkedId(id));
    },
    update: async (entity, id, patch) => {
      return writer.update(entity, givenId("update", entity, id), patch);
    },
    delete: async (entity, id) => writer.delete(entity, givenId("delete", entity, id)),
    link: async (entity, id, relation, targetId) =>
      writer.link(
        entity,
        givenId("link", entity, id),
        relation,
        givenId("link", entity, targetId, "targetId"),
      ),
    unlink: async (entity, id, relation) =>
      writer.unlink(entity, givenId("unlink", entity, id), relation),
  };
}

/**
 * The id that a handler names.
 *
 * @throws PylonError INVALID_ID when it is no text: a store would take undefined for null
 */
function givenId(method: string, entity: string, id: unknown, field = "id"): string {
  if (typeof id === "string") return id;
  const given = id === null || id === undefined ? String(id) : `a ${typeof id}`;
  throw new PylonError(
    "INVALID_ID",
    `ctx.db.${method}("${entity}", ...) was given ${given} as ${field}.`,
    { field, hint: "Name the id of a row." },
  );
}

/**
 * The methods of `DbReader` before the app's own types are laid over them (`Register`): any entity,
 * any row.
 */
export interface LooseReader extends Record<keyof DbReader, unknown> {
  get(entity: string, id: unknown): Promise<unknown>;
  list(entity: string): Promise<unknown>;
  lookup(entity: string, field: string, value: unknown): Promise<unknown>;
  query(entity: string, filter?: unknown): Promise<unknown>;
  queryGraph(graph: unknown): Promise<unknown>;
  paginate(entity: string, options?: unknown): Promise<unknown>;
  count(entity: string, filter?: unknown): Promise<number>;
  aggregate(entity: string, spec: unknown): Promise<unknown>;
}

type WriterMethods = Record<Exclude<keyof DbWriter, keyof DbReader>, unknown>;

/** The same of `DbWriter`. */
export interface LooseWriter extends LooseReader, WriterMethods {
  insert(entity: string, data: unknown): Promise<string>;
  update(entity: string, id: unknown, patch: Readonly<Record<string, unknown>>): Promise<boolean>;
  delete(entity: string, id: unknown): Promise<boolean>;
  link(entity: string, id: unknown, relation: string, targetId: unknown): Promise<boolean>;
  unlink(entity: string, id: unknown, relation: string): Promise<boolean>;
}
