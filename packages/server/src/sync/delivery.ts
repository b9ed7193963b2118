import { and, bind, childrenOf, isFalse, not, TRUE, type Expr } from "@pylonsync/query";
import type { Reader } from "../store/store.ts";
import type { DataModel } from "../data/model.ts";
import { beforeChange, isNoneOf, reachOf, rewind, type EarlierRows } from "../policy/rewind.ts";
import type { ChangeRecord, StoredRow } from "../store/store.ts";
import { isOneOf, PositionPassed, PositionReader } from "./position-reader.ts";
import { RelatedRows } from "./related/related-rows.ts";
import type { RightsPlan } from "./related/rights-plan.ts";
import { RowFacts } from "./related/row-facts.ts";
import { MembershipTest } from "./membership-test.ts";
import type { SubscriptionRegistry } from "./subscriptions/registry.ts";
import type { Subscription } from "./subscriptions/subscription.ts";
import { RowMessage, ChangeMessages } from "./change-messages.ts";
import { deleteEvent, insertEvent } from "./wire.ts";

/** The effect of a change on one subscription. */
export interface Effect {
  readonly subscription: Subscription;
  readonly message: RowMessage;
  /** The current row, with hidden fields; null if it is not in the subscription. */
  readonly row: StoredRow | null;
}

/** The effects of a change on all subscriptions. */
export interface Effects {
  readonly effects: readonly Effect[];
  /** The subscriptions whose effect is unknown: they must be read again. */
  readonly lost: readonly Subscription[];
}

/** The rows that a change moved because an `exists` reads the changed row. */
interface Moved {
  readonly moved: readonly Effect[];
  readonly lost: readonly Subscription[];
}

const NONE: ReadonlySet<Subscription> = new Set();
const UNMOVED: Moved = { moved: [], lost: [] };

/** The dependencies of the delivery. */
export interface DeliveryOptions {
  readonly reader: Reader;
  /** Resolves when `later` contains every change that was committed before the call. */
  readonly settle: () => Promise<void>;
  /** The changes after the one that is being delivered, oldest first. */
  readonly later: () => readonly ChangeRecord[];
  readonly now: () => number;
  readonly monotonic: () => number;
  /** Resolves when other work of the event loop had a turn. */
  readonly pause: () => Promise<void>;
}

/**
 * After this time, in milliseconds, other work has a turn: a large row may have to be compared with
 * the filters of many subscriptions.
 */
const BUSY_MS = 20;

/**
 * Computes, change by change, the effects of the log on the subscriptions. Everything is evaluated
 * as of the change, however far ahead of it the store is.
 */
export class Delivery {
  readonly #registry: SubscriptionRegistry;
  readonly #options: DeliveryOptions;
  readonly #related = new RelatedRows();
  #model: DataModel;

  constructor(registry: SubscriptionRegistry, model: DataModel, options: DeliveryOptions) {
    this.#registry = registry;
    this.#model = model;
    this.#options = options;
  }

  setModel(model: DataModel): void {
    this.#model = model;
    this.#related.clear();
  }

  /** Changes are skipped, because there are no subscriptions. */
  skip(): void {
    this.#related.clear();
  }

  /** Reads as of the position after the change that was delivered last. */
  get reader(): PositionReader {
    const { reader, settle, later } = this.#options;
    return new PositionReader(reader, settle, later);
  }

  /** Whether a row, in its state at the position, is in the subscription. */
  async holds(subscription: Subscription, row: StoredRow | null): Promise<boolean> {
    if (row === null) return false;
    const now = this.#now();
    const test = await this.#membershipTestOf(subscription.entity, row, now, this.reader);
    return test.isIn(subscription);
  }

  async deliver(record: ChangeRecord): Promise<Effects> {
    const { entity } = record;
    // A system table's, or an entity of another version of the app that runs beside this one.
    if (this.#model.schema.find(entity) === undefined) return { effects: [], lost: [] };
    try {
      return await this.#effectsOf(record);
    } catch (error) {
      if (!(error instanceof PositionPassed)) throw error;
      this.#related.clear();
      return { effects: [], lost: [...this.#registry.concernedBy(entity)] };
    }
  }

  async #effectsOf(record: ChangeRecord): Promise<Effects> {
    const { entity } = record;
    const now = this.#now();
    const { before: old, after: row } = record;
    // Only for what reads: the readers get a change before its writer is answered, as long as fewer
    // promises are awaited for it than for the answer.
    const wasIn =
      old === null ? NONE : await this.#holding(old, entity, now, this.#readerBefore(record));
    const dependent = this.#registry.findDependent(record);
    const { moved, lost } = dependent.size === 0 ? UNMOVED : await this.#moved(dependent, record);
    this.#related.apply(record);
    const isNowIn = row === null ? NONE : await this.#holding(row, entity, now, this.reader);
    const messages = new ChangeMessages(record);
    const effects: Effect[] = [];
    for (const subscription of new Set([...wasIn, ...isNowIn])) {
      const [before, after] = [wasIn.has(subscription), isNowIn.has(subscription)];
      const message = messages.transition(before, after, subscription.visible);
      const shown = after ? row : null;
      for (const load of subscription.loads) load.touched(record.rowId, before, shown);
      if (message !== null) effects.push({ subscription, message, row: shown });
    }
    return { effects: [...effects, ...moved], lost };
  }

  /** The subscriptions that contain the row. */
  async #holding(
    row: StoredRow,
    entity: string,
    now: string,
    reader: PositionReader,
  ): Promise<Set<Subscription>> {
    const holding = new Set<Subscription>();
    const made = this.#membershipTestOf(entity, row, now, reader);
    const test = made instanceof MembershipTest ? made : await made;
    const candidates = new Set<Subscription>();
    this.#registry.find(entity, row, test.facts, candidates);
    const { monotonic, pause } = this.#options;
    let began = monotonic();
    for (const subscription of candidates) {
      const answer = test.isIn(subscription);
      if (answer === true || (answer !== false && (await answer))) holding.add(subscription);
      if (monotonic() - began < BUSY_MS) continue;
      await pause();
      began = monotonic();
    }
    return holding;
  }

  /** The rows that enter and leave because an `exists` reads the changed row. */
  async #moved(dependent: ReadonlySet<Subscription>, record: ChangeRecord): Promise<Moved> {
    const moved: Effect[] = [];
    const lost: Subscription[] = [];
    const entities = [...this.#model.policies.dependentsOf(record.entity)];
    const rank = ({ entity }: Subscription): number => entities.indexOf(entity);
    for (const subscription of [...dependent].toSorted((a, b) => rank(a) - rank(b))) {
      try {
        moved.push(...(await this.#movedIn(subscription, record)));
      } catch (error) {
        if (!(error instanceof PositionPassed)) throw error;
        lost.push(subscription);
      }
    }
    return { moved, lost };
  }

  async #movedIn(subscription: Subscription, record: ChangeRecord): Promise<Effect[]> {
    const { entity, query, shown, visible } = subscription;
    const truth = bind(subscription.truth, { now: this.#now() });
    if (isFalse(reachOf(truth, record))) return [];
    for (const load of subscription.loads) load.invalidate();
    const { seq, at } = record;
    // The changed row itself has its own event.
    const others = and(
      isNoneOf("data", entity === record.entity ? [record.rowId] : []),
      isOfParents(subscription),
    );
    const within = (later: EarlierRows) => ({
      reach: reachOf(truth, record, later),
      before: rewind(truth, beforeChange(record, later)),
      after: rewind(truth, later),
    });
    const reader = this.reader;
    const ways = waysOf(truth, record);
    const gained = ways.includes("gained")
      ? await reader.select({
          entity,
          condition: (later) => {
            const { reach, before, after } = within(later);
            return and(others, reach, after, not(before));
          },
          order: query.order,
          ...(query.limit === undefined ? {} : { limit: query.limit + 1 }),
        })
      : [];
    const left = ways.includes("lost")
      ? await reader.select({
          entity,
          condition: (later) => {
            const { reach, before, after } = within(later);
            return and(others, reach, before, not(after));
          },
        })
      : [];
    return [
      ...gained.map((row) => ({
        subscription,
        message: new RowMessage(insertEvent(seq, entity, visible(row), at)),
        row,
      })),
      ...left
        .filter(({ id }) => shown === null || shown.has(id))
        .map(({ id }) => ({
          subscription,
          message: new RowMessage(deleteEvent(seq, entity, id, at)),
          row: null,
        })),
    ];
  }

  /** Returns synchronously if the store is not needed. */
  #membershipTestOf(
    entity: string,
    row: StoredRow,
    now: string,
    reader: PositionReader,
  ): MembershipTest | Promise<MembershipTest> {
    const find = (plan: RightsPlan): Promise<RowFacts> =>
      RowFacts.of(plan, row, this.#related, reader, now);
    const rights = this.#registry.rightsOf(entity);
    const withFacts = (facts: RowFacts | null): MembershipTest =>
      new MembershipTest(row, now, facts, find);
    return rights.exists.length === 0 ? withFacts(null) : find(rights).then(withFacts);
  }

  #readerBefore(record: ChangeRecord): PositionReader {
    const { reader, settle, later } = this.#options;
    return new PositionReader(reader, settle, () => [record, ...later()]);
  }

  #now(): string {
    return new Date(this.#options.now()).toISOString();
  }
}

/** For related rows: the rows of the existing parents. */
function isOfParents({ related, parentField }: Subscription): Expr {
  return related === null || parentField === null ? TRUE : isOneOf(parentField, related.keys);
}

/**
 * The directions in which rows can move: an inserted related row removes none, and a deleted one
 * adds none, if no `exists` over its entity is negated.
 */
function waysOf(truth: Expr, { entity, kind }: ChangeRecord): readonly ("gained" | "lost")[] {
  if (kind === "update" || isNegated(truth, entity, false)) return ["gained", "lost"];
  return kind === "insert" ? ["gained"] : ["lost"];
}

/** Whether an `exists` over the entity may also make the condition false. */
function isNegated(expr: Expr, entity: string, isInside: boolean): boolean {
  if (expr.kind === "exists" && expr.entity === entity && isInside) return true;
  const isInner = isInside || !["and", "or", "exists"].includes(expr.kind);
  return childrenOf(expr).some((child) => isNegated(child, entity, isInner));
}
