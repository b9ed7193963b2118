/** An event as Stripe sends it. Its signature is verified; its form depends on the API version. */
export type StripeEvent = unknown;

/** The subscription in an event. */
export interface Subscription {
  readonly subscriptionId: string;
  readonly customerId: string;
  /** From the subscription's metadata. */
  readonly userId: string | null;
  readonly status: string;
  readonly priceId: string | null;
  readonly quantity: number;
  /** ISO 8601. */
  readonly currentPeriodEnd: string | null;
  readonly cancelAtPeriodEnd: boolean;
  readonly eventAt: number;
}

/** Returns the subscription in an event; null if the event is not about a subscription. */
export function subscriptionOf(event: StripeEvent): Subscription | null {
  const object = valueIn(valueIn(event, "data"), "object");
  const [subscriptionId, customerId] = [textIn(object, "id"), idIn(object, "customer")];
  const isOne = textIn(event, "type")?.startsWith("customer.subscription.") === true;
  if (!isOne || subscriptionId === null || customerId === null) return null;
  const items = valueIn(valueIn(object, "items"), "data");
  const item: unknown = Array.isArray(items) ? items[0] : undefined;
  // Newer versions of the API store the period in each item.
  const end = numberIn(object, "current_period_end") ?? numberIn(item, "current_period_end");
  return {
    subscriptionId,
    customerId,
    userId: textIn(valueIn(object, "metadata"), "userId"),
    status: textIn(object, "status") ?? "unknown",
    priceId: textIn(valueIn(item, "price"), "id"),
    quantity: numberIn(item, "quantity") ?? 1,
    currentPeriodEnd: end === null ? null : new Date(end * 1000).toISOString(),
    cancelAtPeriodEnd: valueIn(object, "cancel_at_period_end") === true,
    eventAt: numberIn(event, "created") ?? 0,
  };
}

/** Returns the customer and the user of a completed checkout; null for other events. */
export function checkoutOf(
  event: StripeEvent,
): { readonly customerId: string; readonly userId: string } | null {
  const object = valueIn(valueIn(event, "data"), "object");
  const [customerId, userId] = [idIn(object, "customer"), textIn(object, "client_reference_id")];
  const isOne = textIn(event, "type") === "checkout.session.completed";
  return isOne && customerId !== null && userId !== null ? { customerId, userId } : null;
}

function valueIn(from: unknown, key: string): unknown {
  return typeof from === "object" && from !== null && Object.hasOwn(from, key)
    ? Reflect.get(from, key)
    : undefined;
}

function textIn(from: unknown, key: string): string | null {
  const value = valueIn(from, key);
  return typeof value === "string" && value !== "" ? value : null;
}

/** Returns an id, also of an expanded object. */
function idIn(from: unknown, key: string): string | null {
  return textIn(from, key) ?? textIn(valueIn(from, key), "id");
}

function numberIn(from: unknown, key: string): number | null {
  const value = valueIn(from, key);
  return Number.isSafeInteger(value) ? Number(value) : null;
}
