import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { stripe } from "@pylonsync/functions/plugins";
import { createPluginApp, type TestApp } from "@pylonsync/testing";
import fc from "fast-check";

// The plugin receives events that are signed here the way Stripe signs them.

const SECRET = "whsec_test";
let t: TestApp;
beforeAll(async () => {
  t = await createPluginApp([stripe()], { env: { STRIPE_WEBHOOK_SECRET: SECRET } });
});
beforeEach(() => t.reset());
afterAll(() => t.close());

async function send(event: object, secret = SECRET, agoSecs = 0): Promise<unknown> {
  const body = JSON.stringify(event);
  const at = Math.floor((await t.now()).getTime() / 1000) - agoSecs;
  const v1 = createHmac("sha256", secret).update(`${at}.${body}`).digest("hex");
  return t.webhook("stripe.webhook", { headers: { "Stripe-Signature": `t=${at},v1=${v1}` }, body });
}

function changed(id: string, created: number, more: object = {}): object {
  const items = {
    data: [{ price: { id: "price_1" }, quantity: 2, current_period_end: 1_800_000_000 }],
  };
  const object = { id: "sub_1", customer: "cus_1", status: "active", metadata: {}, items, ...more };
  return { id, created, type: "customer.subscription.updated", data: { object } };
}

const paid = {
  id: "evt_paid",
  created: 5,
  type: "checkout.session.completed",
  data: { object: { customer: "cus_1", client_reference_id: "ann" } },
};

test("a subscription belongs to its user, in whatever order events arrive", async () => {
  for (const events of [
    [changed("evt_1", 1), paid],
    [paid, changed("evt_1", 1)],
  ]) {
    await t.reset();
    for (const event of events) expect(await send(event)).toEqual({ received: true });
    expect(await t.as("ann").list("StripeSubscription")).toMatchObject([
      {
        subscriptionId: "sub_1",
        userId: "ann",
        status: "active",
        priceId: "price_1",
        quantity: 2,
        currentPeriodEnd: "2027-01-15T08:00:00.000Z",
        cancelAtPeriodEnd: false,
      },
    ]);
    expect(await t.as("bob").list("StripeSubscription")).toEqual([]);
    const row = {
      subscriptionId: "x",
      customerId: "c",
      userId: "ann",
      status: "active",
      eventAt: 1,
    };
    expect(await t.as("ann").canInsert("StripeSubscription", row)).toBe(false);
  }
});

test("the newest event wins, in whatever order and however often events arrive", async () => {
  const order = fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 1 });
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(order, order, async (first, second) => {
      const id = `sub_${(runs += 1)}`;
      for (const at of [...first, ...second])
        await send(changed(`evt_${runs}_${at}`, at, { id, status: `status_${at}` }));
      const newest = Math.max(...first, ...second);
      expect(await t.db.query("StripeSubscription", { subscriptionId: id })).toMatchObject([
        { status: `status_${newest}`, eventAt: newest },
      ]);
    }),
    { numRuns: 30 },
  );
});

test("an event with a wrong or old signature changes nothing", async () => {
  for (const [secret, agoSecs] of [
    ["whsec_other", 0],
    [SECRET, 900],
  ] as const)
    await expect(send(changed("evt_1", 1), secret, agoSecs)).rejects.toMatchObject({
      code: "INVALID_SIGNATURE",
    });
  await expect(t.webhook("stripe.webhook", { body: "{}" })).rejects.toMatchObject({
    code: "INVALID_SIGNATURE",
  });
  await expect(t.webhook("stripe.webhook", { method: "GET" })).rejects.toMatchObject({
    code: "METHOD_NOT_ALLOWED",
  });
  await expect(t.run("stripe.webhook")).rejects.toMatchObject({ code: "INVALID_ARGS" });
  await expect(t.webhook("stripe.apply")).rejects.toMatchObject({ code: "FN_NOT_FOUND" });
  expect(await send({ id: "evt_9", type: "invoice.paid", data: {} })).toEqual({ received: true });
  expect(await t.db.count("StripeSubscription")).toBe(0);
});

test("options are checked", () => {
  expect(() => stripe(Object({ key: "x" }))).toThrow('stripe has no option "key"');
  expect(() => stripe({ secret: "whsec_abc" })).toThrow("the name of a variable");
});
