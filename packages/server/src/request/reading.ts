import type { Caller } from "../identity/identity.ts";
import type { Reader, Store } from "../store/store.ts";
import type { RequestContext } from "./context.ts";
import { networkOf } from "./network.ts";

/** The reader for what one request asks for. */
export type RequestReader = (context: RequestContext) => Reader;

/**
 * Reads on behalf of the caller of a request, each with a deadline.
 *
 * @param timeoutMs how long one read may run, in milliseconds
 */
export function requestReader(store: Store, timeoutMs: number): RequestReader {
  return (context) =>
    store.limitedReader({
      // Most reads are short, and use no share.
      get caller() {
        return readerShare(context);
      },
      timeoutMs,
    });
}

/**
 * Whose share of the store's readers a request uses. A guest is known by its network: guests are
 * free to make.
 */
export function readerShare(context: Pick<RequestContext, "caller" | "address">): string {
  const { caller } = context;
  return userShare(caller) ?? `network ${networkOf(context.address)}`;
}

/** The share of an admin or a user; null for guests and anonymous callers. */
export function userShare({ isAdmin, isGuest, userId }: Caller): string | null {
  if (isAdmin) return "admin";
  return userId === null || isGuest ? null : `user ${userId}`;
}
