import { PylonError } from "@pylonsync/protocol";
import { checkedId, splitId } from "../schema/row-input.ts";
import { isRecord } from "../util/is-record.ts";
import type { DataModel } from "./model.ts";
import { isRef, type Operation, type OperationRef } from "./operations.ts";
import type { Writer } from "./writer.ts";

/** The effect of an operation. */
export interface Applied {
  readonly id: string;
  /** For an upsert: whether the row was inserted. */
  readonly created?: boolean;
}

/** Runs the operations of one request in order: later ones may refer to earlier ones. */
export class OperationRun {
  readonly #writer: Writer;
  readonly #model: DataModel;
  /** The ids of the rows of named operations. */
  readonly #ids = new Map<string, string>();

  constructor(writer: Writer, model: DataModel) {
    this.#writer = writer;
    this.#model = model;
  }

  /** @throws PylonError as the Writer, and INVALID_DATA for a name without a row */
  async apply(operation: Operation): Promise<Applied> {
    const applied = await this.#write(operation);
    if (operation.as !== undefined) this.#ids.set(operation.as, applied.id);
    return applied;
  }

  async #write(operation: Operation): Promise<Applied> {
    const { op, entity, by, ifUnchanged } = operation;
    const data = this.#resolved(entity, operation.data === undefined ? {} : operation.data);
    const { id: bodyId, fields } = splitId(data);
    const id = (isRef(operation.id) ? this.#idOf(operation.id, "id") : operation.id) ?? bodyId;
    if (op === "insert") return { id: await this.#writer.insert(entity, fields, checkedId(id)) };
    if (op === "upsert") {
      const named = id === undefined ? fields : withId(fields, checkedId(id));
      const update = this.#resolved(entity, operation.update);
      return this.#writer.upsert(entity, { by, data: named, update });
    }
    const rowId = requiredId(op, id);
    const conditions = { ifUnchanged: this.#resolved(entity, ifUnchanged) };
    const found = await (op === "update"
      ? this.#writer.update(entity, rowId, data, conditions)
      : this.#writer.delete(entity, rowId, conditions));
    if (found) return { id: rowId };
    throw new PylonError("NOT_FOUND", `No ${entity.slice(0, 80)} has the id "${rowId}".`, {
      field: "id",
    });
  }

  /**
   * Replaces references by ids, except in json fields: they may contain any object, such as a JSON
   * Schema with its own references.
   */
  #resolved(entityName: string, data: unknown): unknown {
    if (!isRecord(data)) return data;
    const entity = this.#model.schema.find(entityName);
    return Object.fromEntries(
      Object.entries(data).map(([name, value]) =>
        isRef(value) && entity?.shape.fields.get(name) !== "json"
          ? [name, this.#idOf(value, name)]
          : [name, value],
      ),
    );
  }

  #idOf({ $ref }: OperationRef, field: string): string {
    const name = /^(.*)\.id$/.exec($ref)?.[1];
    const id = name === undefined ? undefined : this.#ids.get(name);
    if (id !== undefined) return id;
    throw new PylonError("INVALID_DATA", `"${$ref.slice(0, 80)}" does not refer to a row.`, {
      field,
      hint:
        'Name an earlier operation by "as": "name", and refer to it by {"$ref": "name.id"}. ' +
        "In a batch, that operation may have failed.",
    });
  }
}

function withId(fields: unknown, id: string | undefined): unknown {
  return isRecord(fields) ? { ...fields, id } : fields;
}

function requiredId(op: string, id: unknown): string {
  const checked = checkedId(id);
  if (checked !== undefined) return checked;
  throw new PylonError("MISSING_FIELD", `The ${op} has no row id.`, { field: "id" });
}
