import type { Known } from "@pylonsync/protocol";
import type { Subscription } from "../../subscriptions/subscription.ts";
import type { LiveConnection } from "../live-connection.ts";

/** A connection that waits for the rows of a subscription. */
export interface Joiner {
  readonly connection: LiveConnection;
  /** What its client still has; undefined if nothing. */
  readonly known: Known | undefined;
}

/** Whether the joiner is still connected and subscribed. */
export function isWanted(subscription: Subscription): (joiner: Joiner) => boolean {
  return ({ connection }) =>
    connection.subscriber.isOpen && connection.idsOf(subscription).length > 0;
}
