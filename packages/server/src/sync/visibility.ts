import type { ChangeEvent } from "@pylonsync/protocol";
import { and, bind, FALSE, not, or, type ExistsExpr, type Expr } from "@pylonsync/query";
import type { Caller } from "../data/caller.ts";
import type { DataModel } from "../data/model.ts";
import { RuleEnv } from "../data/rules.ts";
import type { ChangeRecord, Reader, StoredRow } from "../store/store.ts";
import { deleteEvent, insertEvent, updateEvent } from "./wire.ts";

/**
 * The reader's rights changed in a way that single events can't tell: it must take a new snapshot.
 */
export const RESYNC = "resync";
export type Seen = readonly ChangeEvent[] | typeof RESYNC;

/** Whether a later change makes an answer of the store's doubtful. */
type Doubt = (change: ChangeRecord) => boolean;

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
  seenNow(record: ChangeRecord, caller: Caller): ChangeEvent | undefined {
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
    const doubts: Doubt[] = [];
    const own = await this.#ownEvent(record, caller, doubts);
    const moved = caller.isAdmin ? NOTHING : await this.#movedRows(record, caller, doubts);
    if (moved === RESYNC) return RESYNC;
    if (
      doubts.length > 0 &&
      (await later()).some((change) => doubts.some((isDoubtful) => isDoubtful(change)))
    )
      return RESYNC;
    return [...own, ...moved];
  }

  /**
   * What the caller sees of a change that it missed. A change to its rights is answered RESYNC:
   * whatever was told of the changes before it was judged by the rights of today.
   */
  async seenLater(record: ChangeRecord, caller: Caller): Promise<Seen> {
    if (!this.#model.schema.find(record.entity)) return NOTHING;
    return this.bearsOnRights(record, caller) ? RESYNC : this.#ownEvent(record, caller, []);
  }

  async #ownEvent(
    record: ChangeRecord,
    caller: Caller,
    doubts: Doubt[],
  ): Promise<readonly ChangeEvent[]> {
    if (caller.isAdmin || this.#model.rules.readPredicate(record.entity) !== undefined) {
      const event = this.seenNow(record, caller);
      return event === undefined ? NOTHING : [event];
    }
    doubts.push((change) => this.bearsOnRights(change, caller));
    const before = await this.#reads(record.entity, record.before, caller);
    const after = await this.#reads(record.entity, record.after, caller);
    const event = this.#transition(record, before, after);
    return event === undefined ? NOTHING : [event];
  }

  async #reads(entity: string, row: StoredRow | null, caller: Caller): Promise<boolean> {
    if (row === null) return false;
    return this.#model.rules.allows(
      this.#reader,
      entity,
      "read",
      new RuleEnv(caller, this.#now(), row),
    );
  }

  /** Whether the change is to a row that a read rule looks at on behalf of this caller. */
  bearsOnRights(record: ChangeRecord, caller: Caller): boolean {
    if (caller.isAdmin) return false;
    return this.#model.policies.readersOf(record.entity).some(({ exists }) => {
      const [before, after] = this.#reach(exists, record, caller);
      return !isFalse(before) || !isFalse(after);
    });
  }

  /**
   * The conditions on `data` under which the row, as it was and as it is, satisfies the `exists`.
   */
  #reach(exists: ExistsExpr, record: ChangeRecord, caller: Caller): [Expr, Expr] {
    const now = new Date(this.#now()).toISOString();
    const of = (row: StoredRow | null): Expr =>
      row === null ? FALSE : bind(exists.where, { related: row, auth: caller, now });
    return [of(record.before), of(record.after)];
  }

  /** The rows of other entities that the caller gains or loses by this change. */
  async #movedRows(record: ChangeRecord, caller: Caller, doubts: Doubt[]): Promise<Seen> {
    const events: ChangeEvent[] = [];
    for (const { entity, exists } of this.#model.policies.readersOf(record.entity)) {
      const [before, after] = this.#reach(exists, record, caller);
      if (isFalse(before) && isFalse(after)) continue;
      if (this.#isNested(entity, exists)) return RESYNC;
      doubts.push((change) => change.entity === entity || this.bearsOnRights(change, caller));
      const now = new Date(this.#now()).toISOString();
      const rule = this.#model.policies.rule(entity, "read");
      const today = bind(rule, { auth: caller, now });
      const yesterday = bind(replace(rule, exists, asBefore(exists, record.rowId, before)), {
        auth: caller,
        now,
      });
      const touched = or(before, after);
      const gained = await this.#reader.select({
        entity,
        where: and(touched, today, not(yesterday)),
      });
      const lost = await this.#reader.select({
        entity,
        where: and(touched, yesterday, not(today)),
      });
      const { visible } = this.#model.entity(entity);
      for (const row of gained)
        events.push(insertEvent(record.seq, entity, visible(row), record.at));
      for (const row of lost) events.push(deleteEvent(record.seq, entity, row.id, record.at));
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
    const event = updateEvent(record, visible(before), visible(after));
    // Only hidden fields changed: nothing happened that the reader may know of.
    return Object.keys(event.data ?? {}).length === 0 ? undefined : event;
  }

  /**
   * An `exists` inside another one: the rows that depend on it can't be named by this change alone.
   */
  #isNested(entity: string, exists: ExistsExpr): boolean {
    return !topLevelExists(this.#model.policies.rule(entity, "read")).includes(exists);
  }
}

/** The `exists` as it was before the change: any other row, or the changed row as it was. */
function asBefore(exists: ExistsExpr, changedId: string, reachBefore: Expr): Expr {
  const isOther: Expr = {
    kind: "compare",
    op: "!=",
    left: { kind: "path", root: "related", name: "id" },
    right: { kind: "literal", value: changedId },
  };
  return or({ ...exists, where: and(isOther, exists.where) }, reachBefore);
}

function replace(expr: Expr, target: Expr, substitute: Expr): Expr {
  if (expr === target) return substitute;
  if (expr.kind === "and")
    return and(...expr.items.map((item) => replace(item, target, substitute)));
  if (expr.kind === "or") return or(...expr.items.map((item) => replace(item, target, substitute)));
  if (expr.kind === "not") return not(replace(expr.item, target, substitute));
  return expr;
}

function topLevelExists(expr: Expr): ExistsExpr[] {
  if (expr.kind === "exists") return [expr];
  if (expr.kind === "and" || expr.kind === "or") return expr.items.flatMap(topLevelExists);
  return expr.kind === "not" ? topLevelExists(expr.item) : [];
}

function isFalse(expr: Expr): boolean {
  return expr.kind === "literal" && expr.value === false;
}
