import type { Caller } from "../../identity/identity.ts";
import { canonicalJson } from "../../util/canonical-json.ts";
import type { LiveFunction } from "./live-function.ts";

/** What a function may see of its caller: all that `ctx.auth` has. */
type VisibleCaller = Pick<
  Caller,
  "userId" | "isAdmin" | "isGuest" | "tenantId" | "roles" | "claims"
>;

/**
 * The live functions of one name and one set of arguments: one for all callers, as long as the
 * function does not look at who calls; from then on one for each sort of caller.
 */
export class FunctionGroup {
  readonly key: string;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  #isShared = true;
  /** By what the function may see of its caller; one under an empty key while they are shared. */
  readonly #functions = new Map<string, LiveFunction>();

  constructor(name: string, args: Readonly<Record<string, unknown>>) {
    this.key = FunctionGroup.keyOf(name, args);
    this.name = name;
    this.args = args;
  }

  static keyOf(name: string, args: Readonly<Record<string, unknown>>): string {
    return JSON.stringify([name, canonicalJson(args)]);
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

  /** From now on callers are told apart. The one that there is stays with those like its own. */
  split(): void {
    const functions = [...this.#functions.values()];
    this.#functions.clear();
    this.#isShared = false;
    for (const one of functions) this.add(one);
  }

  /** Whether the function can't tell the two apart, or has not looked. */
  areAlike(one: Caller, other: Caller): boolean {
    return this.#keyFor(one) === this.#keyFor(other);
  }

  #keyFor({ userId, isAdmin, isGuest, tenantId, roles, claims }: VisibleCaller): string {
    return this.#isShared
      ? ""
      : JSON.stringify([userId, isAdmin, isGuest, tenantId, roles, canonicalJson(claims)]);
  }
}
