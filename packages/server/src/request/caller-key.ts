import type { Caller } from "../identity/identity.ts";
import { networkOf } from "../util/network.ts";

/**
 * The key by which what a caller uses is counted. Guests are free to create, so they count by
 * network, as anonymous callers do. The prefix prevents collisions of user ids and addresses.
 *
 * @param address returns the client's address; called only if it is needed
 */
export function callerKey(
  { userId, isGuest }: Pick<Caller, "userId" | "isGuest">,
  address: () => string,
): string {
  return userId === null || isGuest ? networkOf(address()) : `user ${userId}`;
}
