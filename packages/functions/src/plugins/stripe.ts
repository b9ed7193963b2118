import {
  definePlugin,
  entity,
  field,
  type HookDb,
  type PluginFunction,
  type PluginWith,
} from "@pylonsync/sdk";
import { verifyStripe, type SignedRequest } from "../webhook-signatures.ts";
import { subscriptionOf, checkoutOf, type StripeEvent, type Subscription } from "./stripe-event.ts";

/** The options of the plugin. */
export interface StripeOptions {
  /**
   * The environment variable with the endpoint's secret, `whsec_...`. Default
   * `STRIPE_WEBHOOK_SECRET`.
   */
  readonly secret?: string;
}

const CUSTOMER = "StripeCustomer";
const SUBSCRIPTION = "StripeSubscription";

const Customer = entity(CUSTOMER, {
  userId: field.string().index(),
  customerId: field.string().unique(),
});
const Subscribed = entity(
  SUBSCRIPTION,
  {
    subscriptionId: field.string().unique(),
    customerId: field.string(),
    /** Null until a checkout or the subscription's metadata names the user. */
    userId: field.string().optional(),
    status: field.string(),
    priceId: field.string().optional(),
    quantity: field.int().default(1),
    currentPeriodEnd: field.datetime().optional(),
    cancelAtPeriodEnd: field.bool().default(false),
    /** When Stripe created the newest applied event, in seconds since 1970. */
    eventAt: field.int(),
  },
  {
    indexes: [
      { name: "by_user", fields: ["userId"], unique: false },
      { name: "by_customer", fields: ["customerId"], unique: false },
    ],
  },
);

interface WebhookCtx {
  readonly request?: SignedRequest;
  readonly secrets: Readonly<Record<string, string>>;
  readonly now: number;
  error(code: string, message: string): Error;
  runMutation(name: string, args: object, options: { idempotencyKey: string }): Promise<unknown>;
}

/**
 * Stores Stripe customers and subscriptions as rows, using the events that Stripe sends to
 * `/api/webhooks/stripe.webhook`. The signature of each event is verified, each event is applied
 * once, and an older event never overwrites a newer one. Users can read their own subscriptions,
 * live.
 *
 * @example
 * import { stripe } from "@pylonsync/functions/plugins";
 *
 * const plugins = [stripe()];
 */
export function stripe({
  secret = "STRIPE_WEBHOOK_SECRET",
  ...others
}: StripeOptions = {}): PluginWith<typeof Customer | typeof Subscribed> {
  const [other] = Object.keys(others);
  if (other !== undefined) throw new TypeError(`stripe has no option "${other}": use secret.`);
  if (!/^[A-Z][A-Z0-9_]*$/.test(secret))
    throw new TypeError("stripe: secret must be the name of a variable: STRIPE_WEBHOOK_SECRET.");
  const own = "auth.userId == data.userId";
  return definePlugin({
    name: "stripe",
    entities: [Customer, Subscribed],
    policies: [CUSTOMER, SUBSCRIPTION].map((name) => ({
      name: `own_${name}`,
      entity: name,
      allowRead: own,
      allowWrite: "false",
    })),
    functions: {
      "stripe.webhook": receiver(secret),
      "stripe.apply": {
        type: "mutation",
        internal: true,
        handler: ({ db }: { readonly db: HookDb }, { event }: { readonly event: StripeEvent }) =>
          apply(db, event),
      },
    },
  });
}

/** The action that receives Stripe's webhooks. */
function receiver(secret: string): PluginFunction {
  const definition = {
    type: "action" as const,
    secrets: [secret],
    handler: async (ctx: WebhookCtx) => {
      if (ctx.request === undefined)
        throw ctx.error("INVALID_ARGS", "This action only accepts webhook requests from Stripe.");
      const options = { now: ctx.now };
      const { id, json } = await verifyStripe(ctx.request, ctx.secrets[secret] ?? "", options);
      await ctx.runMutation("stripe.apply", { event: json }, { idempotencyKey: `stripe:${id}` });
      return { received: true };
    },
  };
  return definition;
}

async function apply(db: HookDb, event: StripeEvent): Promise<{ applied: boolean }> {
  const subscription = subscriptionOf(event);
  if (subscription !== null) return { applied: await putSubscription(db, subscription) };
  const checkout = checkoutOf(event);
  if (checkout === null) return { applied: false };
  await putCustomer(db, checkout.customerId, checkout.userId);
  return { applied: true };
}

/** @returns false for an event that is older than the stored state */
async function putSubscription(db: HookDb, told: Subscription): Promise<boolean> {
  const { subscriptionId, customerId } = told;
  if (told.userId !== null) await putCustomer(db, customerId, told.userId);
  const [customer] = await db.query(CUSTOMER, { customerId, $limit: 1 });
  const [known] = await db.query(SUBSCRIPTION, { subscriptionId, $limit: 1 });
  const row = { ...told, userId: told.userId ?? customer?.["userId"] ?? null };
  if (known === undefined) await db.insert(SUBSCRIPTION, row);
  else if (Number(known["eventAt"]) > told.eventAt) return false;
  else await db.update(SUBSCRIPTION, known.id, row);
  return true;
}

/** Assigns a customer to a user, and with it subscriptions that arrived earlier. */
async function putCustomer(db: HookDb, customerId: string, userId: string): Promise<void> {
  const [known] = await db.query(CUSTOMER, { customerId, $limit: 1 });
  if (known === undefined) await db.insert(CUSTOMER, { customerId, userId });
  else if (known["userId"] !== userId) await db.update(CUSTOMER, known.id, { userId });
  for (const { id } of await db.query(SUBSCRIPTION, { customerId, userId: null }))
    await db.update(SUBSCRIPTION, id, { userId });
}
