import type { Caller } from "../../identity/identity.ts";
import { canonicalJson } from "../../util/canonical-json.ts";
import type { LiveCallTerms } from "./calls.ts";
import type { LiveFunction } from "./live-function.ts";

/** The properties of the caller that a function can read through `ctx.auth`. */
type VisibleCaller = Pick<
  Caller,
  "userId" | "isAdmin" | "isGuest" | "tenantId" | "roles" | "claims"
>;

/**
 * The live functions with the same name, arguments and audience: a single one shared by all
 * callers, until the function reads the identity of its caller; from then on one for each group of
 * callers that it can't distinguish.
 */
export class FunctionGroup {
  readonly key: string;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Whether it only reads the store, as its caller. */
  readonly isRead: boolean;
  #isShared = true;
  /** By the visible properties of the caller; a single one with an empty key while it is shared. */
  readonly #functions = new Map<string, LiveFunction>();

  constructor(name: string, args: Readonly<Record<string, unknown>>, terms: LiveCallTerms) {
    this.key = FunctionGroup.keyOf(name, args, terms);
    this.name = name;
    this.args = args;
    this.isRead = terms.isRead;
  }

  static keyOf(
    name: string,
    args: Readonly<Record<string, unknown>>,
    { audience }: Pick<LiveCallTerms, "audience">,
  ): string {
    return JSON.stringify([name, canonicalJson(args), audience]);
  }

  get isShared(): boolean {
    return this.#isShared;
  }

  get isEmpty(): boolean {
    return this.#functions.size === 0;
  }

  get functions(): Iterable<LiveFunction> {
    return this.#functions.values();
  }

  find(caller: Caller): LiveFunction | undefined {
    return this.#functions.get(this.#keyFor(caller));
  }

  add(one: LiveFunction): void {
    this.#functions.set(this.#keyFor(one.caller), one);
  }

  delete(one: LiveFunction): void {
    const key = this.#keyFor(one.caller);
    if (this.#functions.get(key) === one) this.#functions.delete(key);
  }

  /**
   * Distinguishes callers from now on. The existing function remains for the callers that are equal
   * to its own.
   */
  split(): void {
    const functions = [...this.#functions.values()];
    this.#functions.clear();
    this.#isShared = false;
    for (const one of functions) this.add(one);
  }

  /** Whether the function can't distinguish the two callers, or has not read their identity. */
  areAlike(one: Caller, other: Caller): boolean {
    return this.#keyFor(one) === this.#keyFor(other);
  }

  #keyFor({ userId, isAdmin, isGuest, tenantId, roles, claims }: VisibleCaller): string {
    return this.#isShared
      ? ""
      : JSON.stringify([userId, isAdmin, isGuest, tenantId, roles, canonicalJson(claims)]);
  }
}
