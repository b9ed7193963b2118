import {
  isRowId,
  MAX_CASCADE_WRITES,
  MAX_TRANSACTION_WRITES,
  PylonError,
} from "@pylonsync/protocol";
import type { Expr } from "@pylonsync/query";
import { bytesOf, MAX_BYTES_PER_UNIT, rowBytes, rowSize } from "../store/row-size.ts";
import { isSameValue } from "../schema/nested-value.ts";
import { withEmailRules } from "../schema/managed-fields.ts";
import {
  asObject,
  checkedId,
  checkInsert,
  checkPatch,
  refuseManaged,
  refuseStamps,
  withoutId,
} from "../schema/row-input.ts";
import type { Entity } from "../schema/schema.ts";
import type { Access } from "../policy/policy-set.ts";
import type { Aggregate, Reader, Select, StoredRow, Transaction, Value } from "../store/store.ts";
import type { Caller } from "../identity/identity.ts";
import { prepareFileLinks, type ApplyLinks } from "./file-links.ts";
import type { DataModel } from "./model.ts";
import { cascade, checkReferences, hasIdOf } from "./references.ts";
import { RuleEnv } from "./rules.ts";
import { stamped, withoutStamps } from "./timestamps.ts";

/** On whose behalf rows are written, and within which limits. */
export interface WriterOptions {
  readonly caller: Caller;
  /**
   * `bypassed` for server functions, which are trusted code; `enforced` for everything that comes
   * from outside.
   */
  readonly policies: "enforced" | "bypassed";
  /** Milliseconds since 1970, the same for the whole transaction. */
  readonly now: number;
  readonly newId: () => string;
  readonly uuid: () => string;
  /** `unchecked`: rows may refer to rows that come after them, as those of an import do. */
  readonly references?: "checked" | "unchecked" | undefined;
  /** Lets other work have its turn. */
  readonly pause: () => Promise<void>;
  /** Most bytes of a row's values. */
  readonly maxRowBytes: number;
  /** Called with each row that was deleted, in the same transaction. */
  readonly onDelete?:
    | ((tx: Transaction, entity: string, row: StoredRow) => Promise<void>)
    | undefined;
  /** Called with each row that was updated, as it was and as it is, in the same transaction. */
  readonly onUpdate?:
    | ((tx: Transaction, entity: string, before: StoredRow, after: StoredRow) => Promise<void>)
    | undefined;
}

/**
 * Writes rows inside one transaction: checks the input, asks the policies, runs the hooks, writes
 * the row and its change record.
 */
export class Writer implements Reader {
  readonly #tx: Transaction;
  readonly #model: DataModel;
  readonly #options: WriterOptions;
  #writes = 0;
  #cascaded = 0;

  constructor(tx: Transaction, model: DataModel, options: WriterOptions) {
    this.#tx = tx;
    this.#model = model;
    this.#options = options;
  }

  /**
   * The transaction that the rows are written in: for rows of system tables that belong to the same
   * write.
   */
  get transaction(): Transaction {
    return this.#tx;
  }

  get(entity: string, id: string): Promise<StoredRow | null> {
    return this.#tx.get(entity, id);
  }
  select(query: Select): Promise<StoredRow[]> {
    return this.#tx.select(query);
  }
  count(entity: string, where?: Expr): Promise<number> {
    return this.#tx.count(entity, where);
  }
  aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    return this.#tx.aggregate(spec);
  }
  test(expr: Expr): Promise<boolean> {
    return this.#tx.test(expr);
  }

  /**
   * Whether there is a row with this id, readable to the caller or not.
   *
   * @throws PylonError ENTITY_NOT_FOUND
   */
  async has(entityName: string, id: string): Promise<boolean> {
    return (await this.#find(this.#model.entity(entityName), id)) !== null;
  }

  /**
   * @param id chosen by the caller, or absent to have one minted
   * @returns the row's id
   * @throws PylonError ENTITY_NOT_FOUND, INVALID_DATA, INVALID_COLUMN, MISSING_FIELD, INVALID_ID,
   *   ID_TAKEN, UNIQUE_VIOLATION, POLICY_DENIED, PAYLOAD_TOO_LARGE
   */
  async insert(entityName: string, data: unknown, id?: unknown): Promise<string> {
    this.#countWrite();
    const entity = this.#model.entity(entityName);
    const named = checkedId(id);
    const { hooks } = this.#model;
    if (this.#options.policies === "enforced" && !this.#options.caller.isAdmin)
      refuseManaged(entity, data);
    if (entity.hasStamps && !this.#mayStamp) refuseStamps(entity, data);
    const input = hooks.isEmpty
      ? data
      : this.#fromHook(
          entity,
          await hooks.beforeInsert(asObject(entity, data), this.#context(entityName)),
        );
    const fields = this.#stampOwner(
      entity,
      withEmailRules(entity, null, checkInsert(entity, input, this.#options)),
    );
    const row: StoredRow = { id: named ?? this.#options.newId(), ...fields };
    this.#checkSize(entity, row, null);
    await this.#authorise(entity, "insert", { data: row });
    await this.#checkReferences(entity, null, row);
    const linkFiles = await this.#prepareFiles(entity, null, row);
    await this.#tx.insert(entity.name, row);
    await linkFiles?.();
    await this.#tx.append({
      entity: entity.name,
      rowId: row.id,
      kind: "insert",
      before: null,
      after: entity.logged(row),
      at: this.#options.now,
    });
    if (!hooks.isEmpty) await hooks.afterInsert(row, this.#context(entityName));
    return row.id;
  }

  /**
   * @param given the patch; it may have the row's own id in it
   * @returns whether the row was there (a row that the caller may not read counts as not there)
   * @throws PylonError as `insert`, and READONLY_FIELD
   */
  async update(entityName: string, id: string, given: unknown): Promise<boolean> {
    this.#countWrite();
    const entity = this.#model.entity(entityName);
    const data = withoutId(given, id);
    const trusted = this.#options.policies === "bypassed" || this.#options.caller.isAdmin;
    checkPatch(entity, data, { admin: trusted, stamps: this.#mayStamp });
    const before = await this.#find(entity, id);
    if (before === null) return false;
    if (!(await this.#mayTouch(entity, "update", before))) return false;
    await this.#change(entity, before, data, { trusted, fixed: {}, isAsked: true });
    return true;
  }

  /**
   * Changes a row that may be changed.
   *
   * @param how.fixed values that no hook changes
   * @param how.isAsked somebody asked for it, who must be allowed to; a cascade asks for nothing
   */
  async #change(
    entity: Entity,
    before: StoredRow,
    data: unknown,
    how: {
      readonly trusted: boolean;
      readonly fixed: Readonly<Record<string, Value>>;
      readonly isAsked: boolean;
    },
  ): Promise<void> {
    const { id } = before;
    const entityName = entity.name;
    const { hooks } = this.#model;
    const { trusted, fixed, isAsked } = how;
    const input = hooks.isEmpty
      ? data
      : this.#fromHook(
          entity,
          await hooks.beforeUpdate(asObject(entity, data), before, this.#context(entityName)),
        );
    const checked = checkPatch(entity, input, { admin: trusted || !hooks.isEmpty, stamps: true });
    const patch = stamped(
      entity,
      before,
      changedOnly(before, { ...withEmailRules(entity, before, checked), ...fixed }),
      this.#options.now,
    );
    if (Object.keys(patch).length === 0) return;
    const after: StoredRow = { ...before, ...patch };
    this.#checkSize(entity, after, before);
    if (isAsked) await this.#authorise(entity, "update", { data: after, old: before });
    await this.#checkReferences(entity, before, after);
    const linkFiles = await this.#prepareFiles(entity, before, after);
    await this.#tx.update(entity.name, id, patch);
    await linkFiles?.();
    await this.#tx.append({
      entity: entity.name,
      rowId: id,
      kind: "update",
      before: entity.logged(before),
      after: entity.logged(after),
      at: this.#options.now,
    });
    await this.#options.onUpdate?.(this.#tx, entity.name, before, after);
    if (!hooks.isEmpty) await hooks.afterUpdate(after, before, this.#context(entityName));
  }

  /**
   * @returns whether the row was there (a row that the caller may not read counts as not there)
   * @throws PylonError ENTITY_NOT_FOUND, POLICY_DENIED, HOOK_REFUSED, REFERENCED
   */
  async delete(entityName: string, id: string): Promise<boolean> {
    this.#countWrite();
    const entity = this.#model.entity(entityName);
    const before = await this.#find(entity, id);
    if (before === null || !(await this.#mayTouch(entity, "delete", before))) return false;
    await this.#remove(entity, before);
    if (entity.referrers.length > 0) await this.#cascade(entity, id);
    return true;
  }

  /** What the app declared for the rows that refer to one needs no policy to allow it. */
  #cascade(entity: Entity, id: string): Promise<void> {
    return cascade(
      this.#tx,
      this.#model.schema,
      { entity, id },
      {
        delete: (own, rows) => {
          this.#countCascaded(rows.length);
          return this.#removeAll(own, rows);
        },
        setNull: async (own, row, field) => {
          this.#countCascaded(1);
          const empty = { [field]: null };
          await this.#change(own, row, empty, { trusted: true, fixed: empty, isAsked: false });
        },
        pause: this.#options.pause,
      },
    );
  }

  /** By one statement where nothing but the rows goes. */
  async #removeAll(entity: Entity, rows: readonly StoredRow[]): Promise<void> {
    if (!this.#model.hooks.isEmpty || entity.fileFields.length > 0) {
      for (const row of rows) await this.#remove(entity, row);
      return;
    }
    await this.#tx.deleteWhere(entity.name, hasIdOf(rows));
    for (const row of rows) await this.#recordDelete(entity, row);
  }

  async #recordDelete(entity: Entity, before: StoredRow): Promise<void> {
    await this.#tx.append({
      entity: entity.name,
      rowId: before.id,
      kind: "delete",
      before: entity.logged(before),
      after: null,
      at: this.#options.now,
    });
    await this.#options.onDelete?.(this.#tx, entity.name, before);
  }

  async #remove(entity: Entity, before: StoredRow): Promise<void> {
    const { id } = before;
    const entityName = entity.name;
    const { hooks } = this.#model;
    if (!hooks.isEmpty) await hooks.beforeDelete(before, this.#context(entityName));
    const linkFiles = await this.#prepareFiles(entity, before, null);
    await this.#tx.delete(entity.name, id);
    await linkFiles?.();
    await this.#recordDelete(entity, before);
    if (!hooks.isEmpty) await hooks.afterDelete(before, this.#context(entityName));
  }

  /**
   * Sets the relation's field on the row.
   *
   * @returns as `update`
   * @throws PylonError RELATION_NOT_FOUND
   */
  link(entityName: string, id: string, relation: string, targetId: string): Promise<boolean> {
    return this.update(entityName, id, { [this.#relationField(entityName, relation)]: targetId });
  }

  /**
   * Sets the relation's field to null.
   *
   * @returns as `update`
   * @throws PylonError RELATION_NOT_FOUND
   */
  unlink(entityName: string, id: string, relation: string): Promise<boolean> {
    return this.update(entityName, id, { [this.#relationField(entityName, relation)]: null });
  }

  /** No row has an id that can't be one; a database may not even take it as a value. */
  async #find(entity: Entity, id: string): Promise<StoredRow | null> {
    return isRowId(id) ? this.#tx.get(entity.name, id) : null;
  }

  /** A write that is refused, or changes nothing, took its time as well. */
  #countWrite(): void {
    this.#writes += 1;
    if (this.#writes <= MAX_TRANSACTION_WRITES) return;
    throw new PylonError(
      "TRANSACTION_TOO_LARGE",
      `One transaction writes at most ${MAX_TRANSACTION_WRITES} rows.`,
      { hint: "Nothing was kept. Write them by several calls, from an action, or import them." },
    );
  }

  #countCascaded(rows: number): void {
    this.#cascaded += rows;
    if (this.#cascaded <= MAX_CASCADE_WRITES) return;
    throw new PylonError(
      "TRANSACTION_TOO_LARGE",
      `At most ${MAX_CASCADE_WRITES} rows are written because they refer to deleted ones.`,
      { hint: "Nothing was kept. Delete the rows that refer to it first, by several calls." },
    );
  }

  async #checkReferences(entity: Entity, before: StoredRow | null, row: StoredRow): Promise<void> {
    if (entity.references.length > 0 && this.#options.references !== "unchecked")
      await checkReferences(this.#tx, entity, before, row);
  }

  #relationField(entityName: string, relationName: string): string {
    const entity = this.#model.entity(entityName);
    const relation = entity.relations.get(relationName);
    if (relation === undefined || relation.many === true) {
      throw new PylonError(
        "RELATION_NOT_FOUND",
        `${entityName} has no relation "${relationName}" that holds one row.`,
        {
          field: "relation",
          hint: `Its relations: ${[...entity.relations.keys()].join(", ") || "none"}.`,
        },
      );
    }
    return relation.field;
  }

  /**
   * The stored row meets the rule. When it does not: false for a row that can't even be read, else
   * POLICY_DENIED.
   */
  async #mayTouch(entity: Entity, access: "update" | "delete", row: StoredRow): Promise<boolean> {
    if (await this.#allowed(entity, access, { data: row, old: row })) return true;
    if (!(await this.#allowed(entity, "read", { data: row }))) return false;
    throw denied(entity.name, access);
  }

  async #authorise(
    entity: Entity,
    access: Access,
    rows: { data: StoredRow; old?: StoredRow },
  ): Promise<void> {
    if (!(await this.#allowed(entity, access, rows))) throw denied(entity.name, access);
  }

  async #allowed(
    entity: Entity,
    access: Access,
    rows: { data: StoredRow; old?: StoredRow },
  ): Promise<boolean> {
    if (this.#options.policies === "bypassed") return true;
    const env = new RuleEnv(this.#options.caller, this.#options.now, rows.data, rows.old);
    return this.#model.rules.allows(this.#tx, entity.name, access, env);
  }

  /** A hook may hand a whole row on. */
  #fromHook(
    entity: Entity,
    data: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> {
    return this.#mayStamp ? data : withoutStamps(entity, data);
  }

  /** An admin brings rows back as they were: an import does. */
  get #mayStamp(): boolean {
    return this.#options.policies === "enforced" && this.#options.caller.isAdmin;
  }

  /**
   * Owner fields say who is calling, whatever the body says; only an admin and trusted code name
   * somebody else.
   */
  #stampOwner(entity: Entity, fields: Record<string, Value>): Record<string, Value> {
    const { caller, policies } = this.#options;
    for (const field of entity.fields.values()) {
      if (!field.owner) continue;
      const trusted = policies === "bypassed" || caller.isAdmin;
      if (trusted && fields[field.name] !== null) continue;
      if (caller.userId === null && !field.optional && !trusted) {
        throw new PylonError(
          "AUTH_REQUIRED",
          `${entity.name}.${field.name} is the caller's id, and nobody is signed in.`,
          { field: field.name },
        );
      }
      if (caller.userId !== null || !trusted) fields[field.name] = caller.userId;
      if (fields[field.name] === null && !field.optional) {
        throw new PylonError("MISSING_FIELD", `${entity.name}.${field.name} has no value.`, {
          field: field.name,
          hint: "Name the owner's id.",
        });
      }
    }
    return fields;
  }

  /**
   * A row that is too large already, from before there was a limit, can still be written smaller.
   *
   * @throws PylonError PAYLOAD_TOO_LARGE
   */
  #checkSize(entity: Entity, row: StoredRow, before: StoredRow | null): void {
    const { maxRowBytes } = this.#options;
    // No UTF-16 unit takes more than three bytes, so that most rows are not counted to the byte.
    if (rowSize(row) <= maxRowBytes / MAX_BYTES_PER_UNIT) return;
    const size = rowBytes(row);
    if (size <= maxRowBytes || (before !== null && size < rowBytes(before))) return;
    const [largest] = Object.entries(row).toSorted(([, a], [, b]) => sizeOf(b) - sizeOf(a));
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `A row of ${entity.name} may have ${maxRowBytes} bytes, and this one has ${size}.`,
      {
        ...(largest === undefined ? {} : { field: largest[0] }),
        hint: "Keep large content in a file, see docs/files.md, or raise PYLON_MAX_ROW_BYTES.",
      },
    );
  }

  /** Undefined for an entity that holds no files. @throws PylonError INVALID_DATA */
  async #prepareFiles(
    entity: Entity,
    before: StoredRow | null,
    after: StoredRow | null,
  ): Promise<ApplyLinks | undefined> {
    if (entity.fileFields.length === 0) return undefined;
    const { caller, policies, now } = this.#options;
    return prepareFileLinks(
      this.#tx,
      entity,
      { before, after },
      { caller, trusted: policies === "bypassed" || caller.isAdmin, now },
    );
  }

  #context(entity: string): { entity: string; auth: Caller } {
    return { entity, auth: this.#options.caller };
  }
}

/** What has no length of its own is never what makes a row large. */
function sizeOf(value: Value): number {
  return typeof value === "string" || (typeof value === "object" && value !== null)
    ? bytesOf(value)
    : 0;
}

function denied(entity: string, access: Access): PylonError {
  const own = `allow${access[0]?.toUpperCase()}${access.slice(1)}`;
  return new PylonError("POLICY_DENIED", `The policies of ${entity} do not allow this ${access}.`, {
    hint: `See ${own}, allowWrite and allow in the policies that name ${entity}.`,
  });
}

function changedOnly(
  before: StoredRow,
  patch: Readonly<Record<string, Value>>,
): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(patch).filter(([name, value]) => !isSameValue(before[name], value)),
  );
}
