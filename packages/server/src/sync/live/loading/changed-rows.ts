import type { Delivery } from "../../delivery.ts";
import type { DeliveryQueue } from "../../delivery-queue.ts";
import type { Subscription } from "../../subscriptions/subscription.ts";
import type { Load } from "./load.ts";

/** The dependencies of `changedRows`. */
export interface ChangedRowsOptions {
  readonly queue: DeliveryQueue;
  readonly delivery: Delivery;
}

/**
 * Returns the states at the feed's position of the rows for which a read can't be relied on: those
 * that the feed delivered meanwhile, and those that changed after its position, because a read sees
 * the newest state.
 */
export async function changedRows(
  { queue, delivery }: ChangedRowsOptions,
  subscription: Subscription,
  load: Load,
): Promise<Load["changed"]> {
  const states = new Map(load.changed);
  const isSeen = new Set<string>();
  for (const { entity, rowId, before } of queue.later()) {
    // Only the first later change of a row has its state at the position.
    if (entity !== subscription.entity || isSeen.has(rowId)) continue;
    isSeen.add(rowId);
    const isIn = await delivery.holds(subscription, before);
    if (isIn || load.read.has(rowId) || states.has(rowId))
      states.set(rowId, {
        wasIn: states.get(rowId)?.wasIn === true,
        row: isIn ? before : null,
      });
  }
  return states;
}
