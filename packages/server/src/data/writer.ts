import { isRowId, MAX_HOOK_DEPTH, PylonError } from "@pylonsync/protocol";
import type { Expr } from "@pylonsync/query";
import { withEmailRules } from "../schema/managed-fields.ts";
import { operatorsOf, resolveOperators } from "../schema/field-operators.ts";
import { withCurrentNames } from "../schema/old-names.ts";
import {
  checkedId,
  checkInsert,
  checkPatch,
  computedOf,
  refuseManaged,
  refuseServerFields,
  splitId,
  withoutId,
} from "../schema/row-input.ts";
import type { Entity } from "../schema/schema.ts";
import type {
  Aggregate,
  Found,
  Reader,
  SearchSelect,
  Select,
  StoredRow,
  Transaction,
  Value,
} from "../store/store.ts";
import type { Caller } from "../identity/identity.ts";
import type { DataModel } from "./model.ts";
import { stampOwner } from "./owner-fields.ts";
import { RecordedRows } from "./recorded-rows.ts";
import { cascade } from "./references.ts";
import { oneFieldOf } from "./relation-field.ts";
import { checkRowSize } from "./row-size-limit.ts";
import { stamped } from "./timestamps.ts";
import {
  upsertByCurrentNames,
  upsertKey,
  upsertPatch,
  type Upsert,
  type Upserted,
} from "./upsert.ts";
import { WriteCounts } from "./write-counts.ts";
import { WriteHooks } from "./write-hooks.ts";
import { WritePermissions } from "./write-permissions.ts";
import { changedOnly, writtenNames } from "./written-fields.ts";
import type { WriterOptions } from "./writer-options.ts";

/**
 * The state that the writers of one transaction share, and the depth of writes that hooks caused.
 */
interface WriterScope {
  readonly counts: WriteCounts;
  readonly depth: number;
}

/** The conditions of a write on the existing row. */
export interface WriteConditions {
  /** Fields with the values that they must still have. */
  readonly ifUnchanged?: unknown;
}

/**
 * Writes rows inside one transaction: validates the input, checks the policies, runs the hooks,
 * writes the row and its change record.
 */
export class Writer implements Reader {
  readonly #tx: Transaction;
  readonly #model: DataModel;
  readonly #options: WriterOptions;
  readonly #permissions: WritePermissions;
  readonly #rows: RecordedRows;
  /** Undefined for an app without hooks. */
  readonly #hooks: WriteHooks | undefined;
  readonly #counts: WriteCounts;
  /** The depth of writes that hooks caused. */
  readonly #depth: number;
  #forHooks: Writer | undefined;

  /** @param within a writer of the same transaction, whose state this one shares */
  constructor(
    tx: Transaction,
    model: DataModel,
    options: WriterOptions,
    within: WriterScope = { counts: new WriteCounts(), depth: 0 },
  ) {
    this.#tx = tx;
    this.#model = model;
    this.#options = options;
    this.#permissions = new WritePermissions(tx, model, options);
    this.#rows = new RecordedRows(tx, options);
    this.#hooks = model.hooks.isEmpty
      ? undefined
      : new WriteHooks({
          tx,
          model,
          options,
          permissions: this.#permissions,
          writer: () => this.#writerForHooks(),
        });
    this.#counts = within.counts;
    this.#depth = within.depth;
  }

  /** Returns a writer of the same transaction with this caller's permissions. */
  withRightsOf(caller: Caller): Writer {
    const options = { ...this.#options, caller, policies: "enforced" as const };
    const within = { counts: this.#counts, depth: this.#depth };
    return new Writer(this.#tx, this.#model, options, within);
  }

  /**
   * The transaction in which the rows are written: for rows of system tables that belong to the
   * same write.
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
  search(query: SearchSelect): Promise<Found> {
    return this.#tx.search(query);
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
   * Whether a row with this id exists, readable to the caller or not.
   *
   * @throws PylonError ENTITY_NOT_FOUND
   */
  async has(entityName: string, id: string): Promise<boolean> {
    return (await this.#find(this.#model.entity(entityName), id)) !== null;
  }

  /**
   * @param id chosen by the caller; generated if it is absent
   * @returns the row's id
   * @throws PylonError ENTITY_NOT_FOUND, INVALID_DATA, INVALID_COLUMN, MISSING_FIELD, INVALID_ID,
   *   ID_TAKEN, UNIQUE_VIOLATION, POLICY_DENIED, PAYLOAD_TOO_LARGE
   */
  async insert(entityName: string, given: unknown, id?: unknown): Promise<string> {
    this.#counts.countWrite();
    const entity = this.#model.entity(entityName);
    const data = withCurrentNames(entity, given);
    const named = checkedId(id);
    const hooks = this.#hooks;
    if (this.#options.policies === "enforced" && !this.#options.caller.isAdmin)
      refuseManaged(entity, data);
    this.#refuseServerFields(entity, data);
    const input = hooks === undefined ? data : await hooks.beforeInsert(entity, data);
    const fields = stampOwner(
      entity,
      withEmailRules(entity, null, checkInsert(entity, input, this.#options)),
      this.#options,
    );
    const stored: StoredRow = { id: named ?? this.#options.newId(), ...fields };
    const row: StoredRow = { ...stored, ...computedOf(entity, stored) };
    checkRowSize(entity, row, null, this.#options.maxRowBytes);
    if (this.#options.policies === "enforced") {
      await this.#permissions.authorise(entity, "insert", { data: row });
      await this.#permissions.authoriseFields(entity, "insert", writtenNames(data), { data: row });
    }
    await this.#rows.insert(entity, row, named === undefined);
    if (hooks !== undefined) await hooks.afterInsert(entity, row);
    return row.id;
  }

  /**
   * @param given the patch; it may contain the row's own id, and operators in place of values
   * @returns whether the row exists (an unreadable row is treated as if it did not exist)
   * @throws PylonError as `insert`, and READONLY_FIELD, ROW_CHANGED
   */
  async update(
    entityName: string,
    id: string,
    given: unknown,
    { ifUnchanged }: WriteConditions = {},
  ): Promise<boolean> {
    this.#counts.countWrite();
    const entity = this.#model.entity(entityName);
    const sent = withoutId(given, id);
    const asked = withCurrentNames(entity, sent);
    const operators = operatorsOf(entity, asked);
    const trusted = this.#permissions.isTrusted;
    this.#refuseServerFields(entity, asked);
    checkPatch(entity, asked, { admin: trusted, stamps: this.#permissions.mayStamp, operators });
    const expected = this.#permissions.condition(entity, ifUnchanged);
    const before = await this.#find(entity, id);
    if (before === null || !(await this.#permissions.meets(entity, "update", before, expected)))
      return false;
    const isOfRow = operators.size > 0 || entity.oldFields.size > 0;
    const seen = isOfRow ? await this.#permissions.seen(entity, before) : before;
    const named = withCurrentNames(entity, sent, seen);
    const names = writtenNames(named);
    await this.#permissions.authoriseFields(entity, "update", names, { data: before, old: before });
    if (operators.size > 0) {
      if (seen === null) return false;
      this.#permissions.refuseBlind(entity, operators.keys());
    }
    const data = resolveOperators(named, operators, before);
    const blind = this.#permissions.blind(entity, names);
    await this.#change(entity, before, data, { trusted, fixed: {}, isAsked: true, names, blind });
    return true;
  }

  /**
   * Updates the row with this key, or inserts it. A row that the caller may not read is rejected
   * like a second row with the same values.
   *
   * @throws PylonError as `insert` and `update`
   */
  async upsert(entityName: string, asked: Upsert): Promise<Upserted> {
    const entity = this.#model.entity(entityName);
    const given = upsertByCurrentNames(entity, asked);
    const { fields } = this.#permissions.shapeFor(entity);
    const { names, where } = upsertKey(entity, given, fields);
    const [found] = await this.#tx.select({ entity: entity.name, where, limit: 1 });
    if (found !== undefined && (await this.#permissions.allowed(entity, "read", { data: found }))) {
      const patch = upsertPatch(entity, names, given);
      if (await this.update(entityName, found.id, patch)) return { id: found.id, created: false };
    }
    const { id, fields: data } = splitId(given.data);
    return { id: await this.insert(entityName, data, id), created: true };
  }

  /**
   * Changes a row that may be changed.
   *
   * @param how.fixed values that no hook changes
   * @param how.isAsked whether a caller requested the change and needs permission; a cascade does
   *   not
   * @param how.names the requested fields
   * @param how.blind those of them that the caller may not read. They always count as changed:
   *   otherwise whether the row was written, as its update time shows, would reveal their values
   */
  async #change(
    entity: Entity,
    before: StoredRow,
    data: unknown,
    how: {
      readonly trusted: boolean;
      readonly fixed: Readonly<Record<string, Value>>;
      readonly isAsked: boolean;
      readonly names?: readonly string[];
      readonly blind?: ReadonlySet<string>;
    },
  ): Promise<void> {
    const hooks = this.#hooks;
    const { trusted, fixed, isAsked, names = [], blind } = how;
    const input =
      hooks === undefined ? data : await hooks.beforeUpdate(entity, before, data, !isAsked);
    const checked = checkPatch(entity, input, {
      admin: trusted || hooks !== undefined,
      stamps: true,
    });
    const patch = withComputed(
      entity,
      before,
      stamped(
        entity,
        before,
        changedOnly(before, { ...withEmailRules(entity, before, checked), ...fixed }, blind),
        this.#options.now,
      ),
    );
    const after: StoredRow = { ...before, ...patch };
    // Unchanged fields are checked too: otherwise the outcome would reveal the value of a field
    // that the caller may not write.
    await this.#permissions.authoriseFields(entity, "update", names, { data: after, old: before });
    if (Object.keys(patch).length === 0) return;
    checkRowSize(entity, after, before, this.#options.maxRowBytes);
    if (isAsked) await this.#permissions.authorise(entity, "update", { data: after, old: before });
    await this.#rows.update(entity, before, patch, after);
    if (hooks !== undefined) await hooks.afterUpdate(entity, before, after, !isAsked);
  }

  /**
   * @returns whether the row existed (an unreadable row is treated as if it did not exist)
   * @throws PylonError ENTITY_NOT_FOUND, POLICY_DENIED, HOOK_REFUSED, REFERENCED, ROW_CHANGED
   */
  async delete(
    entityName: string,
    id: string,
    { ifUnchanged }: WriteConditions = {},
  ): Promise<boolean> {
    this.#counts.countWrite();
    const entity = this.#model.entity(entityName);
    const expected = this.#permissions.condition(entity, ifUnchanged);
    const before = await this.#find(entity, id);
    if (before === null || !(await this.#permissions.meets(entity, "delete", before, expected)))
      return false;
    if (!(await this.#remove(entity, before, false))) return true;
    if (entity.referrers.length > 0) await this.#cascade(entity, id);
    return true;
  }

  /**
   * Rejects values for fields that only the server writes. An import contains whole rows with their
   * computed values, which are computed again.
   *
   * @throws PylonError READONLY_FIELD with the `field`
   */
  #refuseServerFields(entity: Entity, data: unknown): void {
    const stamps = this.#permissions.mayStamp;
    const isImport = stamps && this.#options.references === "unchecked";
    if (entity.hasServerFields && !isImport) refuseServerFields(entity, data, { stamps });
  }

  /** The declared actions on the rows that refer to a row need no permission by a policy. */
  #cascade(entity: Entity, id: string): Promise<void> {
    return cascade(
      this.#tx,
      this.#model.schema,
      { entity, id },
      {
        delete: (own, rows) => {
          this.#counts.countCascaded(rows.length);
          return this.#removeAll(own, own.isEncrypted ? rows.map(own.sealing.opened) : rows);
        },
        setNull: async (own, row, field) => {
          this.#counts.countCascaded(1);
          const empty = { [field]: null };
          await this.#change(own, own.sealing.opened(row), empty, {
            trusted: true,
            fixed: empty,
            isAsked: false,
          });
        },
        pause: this.#options.pause,
      },
    );
  }

  /** Deletes with one statement if nothing but the rows must be deleted. */
  async #removeAll(entity: Entity, rows: readonly StoredRow[]): Promise<void> {
    if (this.#hooks !== undefined || entity.fileFields.length > 0) {
      for (const row of rows) await this.#remove(entity, row, true);
      return;
    }
    await this.#rows.deleteAll(entity, rows);
  }

  /** @returns false if a hook keeps the row */
  async #remove(entity: Entity, before: StoredRow, isCascade: boolean): Promise<boolean> {
    const remove = (): Promise<void> => this.#rows.delete(entity, before);
    if (this.#hooks !== undefined)
      return this.#hooks.aroundDelete(entity, before, isCascade, remove);
    await remove();
    return true;
  }

  /**
   * Sets the relation's field on the row.
   *
   * @returns as `update`
   * @throws PylonError RELATION_NOT_FOUND
   */
  link(entityName: string, id: string, relation: string, targetId: string): Promise<boolean> {
    return this.update(entityName, id, {
      [oneFieldOf(this.#model.entity(entityName), relation)]: targetId,
    });
  }

  /**
   * Sets the relation's field to null.
   *
   * @returns as `update`
   * @throws PylonError RELATION_NOT_FOUND
   */
  unlink(entityName: string, id: string, relation: string): Promise<boolean> {
    return this.update(entityName, id, {
      [oneFieldOf(this.#model.entity(entityName), relation)]: null,
    });
  }

  /** No row has an invalid id, which a database may not even accept as a value. */
  async #find(entity: Entity, id: string): Promise<StoredRow | null> {
    const row = isRowId(id) ? await this.#tx.get(entity.name, id) : null;
    return row === null ? null : entity.sealing.opened(row);
  }

  /** @throws PylonError TRANSACTION_TOO_LARGE for hooks that write endlessly */
  #writerForHooks(): Writer {
    if (this.#depth >= MAX_HOOK_DEPTH)
      throw new PylonError(
        "TRANSACTION_TOO_LARGE",
        `Hooks that write rows trigger each other more than ${MAX_HOOK_DEPTH} levels deep.`,
        {
          hint: "A hook that writes must check context.entity, and ignore its own writes.",
        },
      );
    this.#forHooks ??= new Writer(
      this.#tx,
      this.#model,
      { ...this.#options, policies: "bypassed" },
      { counts: this.#counts, depth: this.#depth + 1 },
    );
    return this.#forHooks;
  }
}

/** The changes of a row, including its computed fields. */
function withComputed(
  entity: Entity,
  before: StoredRow,
  patch: Record<string, Value>,
): Record<string, Value> {
  if (entity.computed.length === 0 || Object.keys(patch).length === 0) return patch;
  const computed = changedOnly(before, computedOf(entity, { ...before, ...patch }));
  return { ...patch, ...computed };
}
