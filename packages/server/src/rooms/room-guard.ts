import { PylonError } from "@pylonsync/protocol";
import { bind } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { RoomAccess, RoomRules } from "../policy/room-rules.ts";
import type { Reader } from "../store/store.ts";

const REFUSALS: Record<RoomAccess, string> = {
  join: "be in",
  send: "send to",
  see: "see",
};

/** Evaluates the app's rules about what a caller may do in a room. The admin may do everything. */
export class RoomGuard {
  readonly #rules: () => RoomRules;
  readonly #now: () => number;

  /** @param now milliseconds since 1970 */
  constructor(rules: () => RoomRules, now: () => number) {
    this.#rules = rules;
    this.#now = now;
  }

  /** @param reader used if the rule looks at rows */
  async may(
    reader: Pick<Reader, "test">,
    caller: Caller,
    name: string,
    access: RoomAccess,
  ): Promise<boolean> {
    if (caller.isAdmin) return true;
    const { expr, room } = this.#rules().rule(name, access);
    const bound = bind(expr, { auth: caller, room, now: new Date(this.#now()).toISOString() });
    return bound.kind === "literal" ? bound.value === true : reader.test(bound);
  }

  /** As `may`. @throws PylonError POLICY_DENIED */
  async check(
    reader: Pick<Reader, "test">,
    caller: Caller,
    name: string,
    access: RoomAccess,
  ): Promise<void> {
    if (await this.may(reader, caller, name, access)) return;
    throw new PylonError(
      "POLICY_DENIED",
      `You may not ${REFUSALS[access]} the room "${name.slice(0, 80)}".`,
      { field: "room", hint: 'See "rooms" in app.ts.' },
    );
  }
}
