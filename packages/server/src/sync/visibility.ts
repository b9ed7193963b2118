import type { ChangeEvent } from "@pylonsync/protocol";
import { and, bind, isFalse, isTrue, literal, not, path, type Expr } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { DataModel } from "../data/model.ts";
import { RuleEnv } from "../data/rules.ts";
import { reachOf, rewind } from "../policy/rewind.ts";
import type { ChangeRecord, Reader, StoredRow } from "../store/store.ts";
import { changedFields, deleteEvent, insertEvent, patchEvent } from "./wire.ts";

/**
 * The reader's rights changed in a way that single events can't tell: it must take a new snapshot.
 */
export const RESYNC = "resync";
export type Seen = readonly ChangeEvent[] | typeof RESYNC;

/** Whether a later change makes an answer of the store's doubtful. */
type Invalidation = (change: ChangeRecord) => boolean;

const NOTHING: readonly ChangeEvent[] = [];

/**
 * What one caller sees of a committed change.
 *
 * A change shows as what it does to the caller's replica: a row that becomes readable arrives
 * whole, one that ceases to be is withdrawn by its id, one that stays is patched. A change of a row
 * that read rules of other entities look at (a membership) moves the rows that depend on it.
 *
 * Rules that look at other rows are asked of the store as it is now, which may be ahead of the
 * change. When one of the later changes bears on the answer, it is RESYNC, because "now" was then
 * not "at the time of the change".
 */
export class Visibility {
  readonly #reader: Reader;
  readonly #model: DataModel;
  readonly #now: () => number;

  constructor(reader: Reader, model: DataModel, now: () => number) {
    this.#reader = reader;
    this.#model = model;
    this.#now = now;
  }

  /** Whether this entity's changes can be judged at once, without asking the store. */
  isImmediate(entity: string): boolean {
    return (
      this.#model.rules.readPredicate(entity) !== undefined &&
      this.#model.policies.readersOf(entity).length === 0
    );
  }

  /** For an entity that `isImmediate`. */
  eventFor(record: ChangeRecord, caller: Caller): ChangeEvent | undefined {
    const predicate = this.#model.rules.readPredicate(record.entity);
    const now = this.#now();
    const sees = (row: StoredRow | null): boolean =>
      row !== null && (caller.isAdmin || predicate?.(new RuleEnv(caller, now, row)) === true);
    return this.#transition(record, sees(record.before), sees(record.after));
  }

  /** Whether any rule looks at other rows: only then is the store asked. */
  get looksAtRights(): boolean {
    return this.#model.schema.entities.some(
      ({ name }) => this.#model.rules.readPredicate(name) === undefined,
    );
  }

  /**
   * @param later answers every change that the store may have known beyond this one; asked after
   *   the store was
   */
  async seen(
    record: ChangeRecord,
    caller: Caller,
    later: () => Promise<readonly ChangeRecord[]>,
  ): Promise<Seen> {
    if (!this.#model.schema.find(record.entity)) return NOTHING;
    const invalidations: Invalidation[] = [];
    const own = await this.#ownEvent(record, caller, invalidations);
    const moved = caller.isAdmin ? NOTHING : await this.#movedRows(record, caller, invalidations);
    if (
      invalidations.length > 0 &&
      (await later()).some((change) => invalidations.some((invalidates) => invalidates(change)))
    )
      return RESYNC;
    return [...own, ...moved];
  }

  async #ownEvent(
    record: ChangeRecord,
    caller: Caller,
    invalidations: Invalidation[],
  ): Promise<readonly ChangeEvent[]> {
    if (caller.isAdmin || this.#model.rules.readPredicate(record.entity) !== undefined) {
      const event = this.eventFor(record, caller);
      return event === undefined ? NOTHING : [event];
    }
    invalidations.push((change) => this.affectsPermissions(change, caller));
    const rule = this.readRule(record.entity, caller);
    // The rule may look at its own entity: then it was another one before this very change.
    const before = await this.#holds(rewind(rule, record), record.before);
    const after = await this.#holds(rule, record.after);
    const event = this.#transition(record, before, after);
    return event === undefined ? NOTHING : [event];
  }

  /** Whether the caller may read the row, by the rights of now. */
  async reads(entity: string, row: StoredRow | null, caller: Caller): Promise<boolean> {
    if (row === null) return false;
    const { rules } = this.#model;
    return rules.allows(this.#reader, entity, "read", new RuleEnv(caller, this.#now(), row));
  }

  /** What a row must meet for the caller to read it: a condition on `data` alone. */
  readRule(entity: string, caller: Caller): Expr {
    return this.#model.rules.readable(entity, caller, new Date(this.#now()).toISOString());
  }

  async #holds(rule: Expr, row: StoredRow | null): Promise<boolean> {
    if (row === null) return false;
    const bound = bind(rule, { data: row });
    return bound.kind === "literal" ? isTrue(bound) : this.#reader.test(bound);
  }

  /** Whether the change is to a row that a read rule looks at on behalf of this caller. */
  affectsPermissions(record: ChangeRecord, caller: Caller): boolean {
    if (caller.isAdmin) return false;
    for (const entity of this.#model.policies.dependentsOf(record.entity))
      if (!isFalse(reachOf(this.readRule(entity, caller), record))) return true;
    return false;
  }

  /** The rows that the caller gains or loses by this change of another row. */
  async #movedRows(
    record: ChangeRecord,
    caller: Caller,
    invalidations: Invalidation[],
  ): Promise<ChangeEvent[]> {
    const { seq, at } = record;
    const events: ChangeEvent[] = [];
    for (const entity of this.#model.policies.dependentsOf(record.entity)) {
      const rule = this.readRule(entity, caller);
      const reached = reachOf(rule, record);
      if (isFalse(reached)) continue;
      invalidations.push(
        (change) => change.entity === entity || this.affectsPermissions(change, caller),
      );
      const before = rewind(rule, record);
      // Of the changed row itself its own event tells.
      const moved = entity === record.entity ? and(reached, isNotRow(record.rowId)) : reached;
      const gained = await this.#reader.select({ entity, where: and(moved, rule, not(before)) });
      const lost = await this.#reader.select({ entity, where: and(moved, before, not(rule)) });
      const { visible } = this.#model.entity(entity);
      for (const row of gained) events.push(insertEvent(seq, entity, visible(row), at));
      for (const row of lost) events.push(deleteEvent(seq, entity, row.id, at));
    }
    return events;
  }

  /** The event that takes the reader's replica from what it saw before to what it sees after. */
  #transition(
    record: ChangeRecord,
    sawBefore: boolean,
    seesAfter: boolean,
  ): ChangeEvent | undefined {
    const { seq, entity, rowId, before, after, at } = record;
    if (!seesAfter || after === null)
      return sawBefore ? deleteEvent(seq, entity, rowId, at) : undefined;
    const { visible } = this.#model.entity(entity);
    if (!sawBefore || before === null) return insertEvent(seq, entity, visible(after), at);
    return patchEvent(record, visible(after), changedFields(record));
  }
}

function isNotRow(id: string): Expr {
  return { kind: "compare", op: "!=", left: path("data", "id"), right: literal(id) };
}
