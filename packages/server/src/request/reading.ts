import type { Caller } from "../identity/identity.ts";
import type { Reader, Store } from "../store/store.ts";
import type { RequestContext } from "./context.ts";
import { networkOf } from "../util/network.ts";

/** Returns the reader for one request. */
export type RequestReader = (context: Pick<RequestContext, "caller" | "address">) => Reader;

/**
 * Creates readers that act on behalf of the caller of a request, with a deadline for each read.
 *
 * @param timeoutMs the maximum duration of one read, in milliseconds
 */
export function requestReader(store: Store, timeoutMs: number): RequestReader {
  return (context) =>
    store.limitedReader({
      // Most reads are short, and need no share.
      get caller() {
        return readerShare(context);
      },
      timeoutMs,
    });
}

/**
 * Returns the key of the share of the store's readers that a request uses. A guest is identified by
 * its network, because guests are free to create.
 */
export function readerShare(context: Pick<RequestContext, "caller" | "address">): string {
  const { caller } = context;
  return userShare(caller) ?? `network ${networkOf(context.address)}`;
}

/** Returns the share of an admin or a user, or null for guests and anonymous callers. */
export function userShare({ isAdmin, isGuest, userId }: Caller): string | null {
  if (isAdmin) return "admin";
  return userId === null || isGuest ? null : `user ${userId}`;
}
