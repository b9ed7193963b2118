import type { ChangeEvent } from "@pylonsync/protocol";
import type { Manifest } from "@pylonsync/sdk";
import type { Caller } from "../identity/identity.ts";
import { HookSet } from "../data/hooks.ts";
import { DataModel } from "../data/model.ts";
import { compilePolicies } from "../policy/policy-set.ts";
import { Schema } from "../schema/schema.ts";
import { holds } from "../store/sql/naive-evaluator.ts";
import type { ChangeRecord, Reader, Select, StoredRow } from "../store/store.ts";

/** The rows of each entity. */
export type Tables = ReadonlyMap<string, readonly StoredRow[]>;

type ModelParts = Pick<Manifest, "entities" | "policies">;

/** The model of an app without hooks, in which only what a policy allows is allowed. */
export function modelOf({ entities, policies: rules }: ModelParts): DataModel {
  const manifest: Manifest = {
    manifest_version: 1,
    name: "test",
    version: "0.0.0",
    routes: [],
    queries: [],
    actions: [],
    entities,
    policies: rules,
  };
  const schema = Schema.fromManifest(manifest);
  const { policies } = compilePolicies(manifest, schema.shapes, { dev: false });
  return new DataModel(schema, policies, new HookSet([]));
}

/** A store that has these tables, as far as events are made from it. */
export function readerOf(tables: Tables): Reader {
  const unused = (): never => {
    throw new Error("Events are made without this.");
  };
  return {
    select: async ({ entity, where }: Select) =>
      Promise.resolve(
        (tables.get(entity) ?? []).filter(
          (data) => where === undefined || holds(where, { data }, tables),
        ),
      ),
    test: async (expr) => Promise.resolve(holds(expr, {}, tables)),
    get: unused,
    count: unused,
    aggregate: unused,
    search: unused,
  };
}

/** A row as it becomes; null: it is deleted. */
export interface Write {
  readonly entity: string;
  readonly id: string;
  readonly row: Readonly<Record<string, string | null>> | null;
}

/** A log of changes, and what the tables were at each place in it. */
export interface Log {
  readonly records: readonly ChangeRecord[];
  /** The tables after so many of the records. */
  readonly states: readonly Tables[];
}

/** The log that these writes make; the deletion of a missing row is left out. */
export function logOf(writes: readonly Write[]): Log {
  const records: ChangeRecord[] = [];
  const states: Tables[] = [new Map()];
  for (const { entity, id, row } of writes) {
    const state = states.at(-1) ?? new Map<string, StoredRow[]>();
    const rows = state.get(entity) ?? [];
    const before = rows.find((one) => one.id === id) ?? null;
    const after = row === null ? null : { ...row, id };
    if (before === null && after === null) continue;
    const kind = after === null ? "delete" : before === null ? "insert" : "update";
    records.push({ seq: records.length + 1, entity, rowId: id, kind, before, after, at: 0 });
    const others = rows.filter((one) => one.id !== id);
    states.push(new Map([...state, [entity, after === null ? others : [...others, after]]]));
  }
  return { records, states };
}

/** The rows that a client has, by entity and id. */
export type Replica = ReadonlyMap<string, unknown>;

/** What the caller may have of the tables. */
export function readable(model: DataModel, tables: Tables | undefined, caller: Caller): Replica {
  const replica = new Map<string, unknown>();
  for (const { name, visible } of model.schema.entities) {
    const rule = model.policies.rule(name, "read");
    for (const row of tables?.get(name) ?? [])
      if (caller.isAdmin || holds(rule, { data: row, auth: caller }, tables ?? new Map()))
        replica.set(`${name} ${row.id}`, visible(row));
  }
  return replica;
}

/** A client's replica after the events. */
export function replayed(before: Replica, events: readonly ChangeEvent[]): Replica {
  const replica = new Map(before);
  for (const { entity, row_id: id, kind, data } of events) {
    const key = `${entity} ${id}`;
    const known = replica.get(key);
    if (kind === "delete") replica.delete(key);
    else if (kind === "insert") replica.set(key, data);
    else if (known !== undefined) replica.set(key, { ...known, ...data });
  }
  return replica;
}

/** An optional text field. */
export const text = (name: string) => ({
  name,
  type: "string" as const,
  optional: true,
  unique: false,
});
