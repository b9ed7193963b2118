import type { AuthValues } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { Subscriber } from "../connections/subscriber.ts";

/** Subscribers that a rule can't tell apart. */
export interface Audience {
  /** Any one of them stands for all. */
  readonly caller: Caller;
  readonly members: Set<Subscriber>;
}

const ADMIN_KEY = "admin";

/** The subscribers, grouped by those of the caller's values that a set of rules reads. */
export class AudienceIndex {
  readonly #names: readonly string[];
  readonly #audiences = new Map<string, Audience>();

  /**
   * @param names of `auth` values, such as `["userId"]`; empty when the rules treat everyone alike
   */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  add(subscriber: Subscriber): void {
    const key = this.#keyOf(subscriber.caller);
    const audience = this.#audiences.get(key);
    if (audience === undefined)
      this.#audiences.set(key, { caller: subscriber.caller, members: new Set([subscriber]) });
    else audience.members.add(subscriber);
  }

  delete(subscriber: Subscriber): void {
    const key = this.#keyOf(subscriber.caller);
    const audience = this.#audiences.get(key);
    audience?.members.delete(subscriber);
    if (audience?.members.size === 0) this.#audiences.delete(key);
  }

  all(): Iterable<Audience> {
    return this.#audiences.values();
  }

  /** For an index of one name: the audiences with one of these values, and the admins. */
  withValues(values: readonly unknown[]): Audience[] {
    const keys = new Set([ADMIN_KEY, ...values.map((value) => JSON.stringify([value]))]);
    return [...keys]
      .map((key) => this.#audiences.get(key))
      .filter((audience) => audience !== undefined);
  }

  #keyOf(caller: Caller): string {
    if (caller.isAdmin) return ADMIN_KEY;
    return JSON.stringify(this.#names.map((name) => caller[name as keyof AuthValues]));
  }
}
