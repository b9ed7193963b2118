import type { Values } from "@pylonsync/query";
import type { StoredRow } from "../store/store.ts";
import type { RightsPlan } from "./related/rights-plan.ts";
import type { RowFacts } from "./related/row-facts.ts";
import type { Subscription } from "./subscriptions/subscription.ts";

/** Decides which subscriptions a row belongs to, at one position of the log. */
export class MembershipTest {
  /** The results of the read policy's `exists`; null if it reads no other rows. */
  readonly facts: RowFacts | null;
  readonly #row: StoredRow;
  readonly #now: string;
  readonly #find: (plan: RightsPlan) => Promise<RowFacts>;
  /** The `exists` results of filters, shared by subscriptions with the same plan. */
  readonly #filterFacts = new Map<RightsPlan, Promise<RowFacts>>();

  /** @param find returns the results of a condition's `exists` for the row */
  constructor(
    row: StoredRow,
    now: string,
    facts: RowFacts | null,
    find: (plan: RightsPlan) => Promise<RowFacts>,
  ) {
    this.#row = row;
    this.#now = now;
    this.facts = facts;
    this.#find = find;
  }

  /** Returns synchronously if the store is not needed. */
  isIn(subscription: Subscription): boolean | Promise<boolean> {
    if (!subscription.matches(this.#row, this.#now)) return false;
    return subscription.asked === null
      ? this.#isReadable(subscription)
      : this.#matchesFilter(subscription, subscription.asked);
  }

  async #matchesFilter(subscription: Subscription, plan: RightsPlan): Promise<boolean> {
    let facts = this.#filterFacts.get(plan);
    if (facts === undefined) this.#filterFacts.set(plan, (facts = this.#find(plan)));
    const found = await (await facts).answers(subscription.caller);
    return subscription.asksFor(this.#row, this.#now, found) && this.#isReadable(subscription);
  }

  #isReadable(subscription: Subscription): boolean | Promise<boolean> {
    const { caller, looksAtRights } = subscription;
    const holds = (input?: Values): boolean =>
      subscription.allows(this.#row, { now: this.#now, input });
    if (!looksAtRights || this.facts === null) return holds();
    const known = this.facts.known(caller);
    return known === null ? this.facts.answers(caller).then(holds) : holds(known);
  }
}
