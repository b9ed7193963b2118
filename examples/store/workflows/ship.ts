import { workflow } from "@pylonsync/workflows";

/** Packs an order, ships it, and waits up to two weeks for the customer's confirmation. */
export default workflow<{ readonly orderId: string }>(
  "ship",
  async (ctx, { step, runMutation, setState, sleep, waitForEvent }) => {
    const { orderId } = ctx.input;
    setState({ at: "being packed" });
    await sleep("1s");
    await runMutation("setStatus", { orderId, status: "packed" });
    // Call a carrier's API here, with the key: a step may run twice, but must book only one parcel.
    const parcel = await step("book the parcel", ({ idempotencyKey }) => idempotencyKey.slice(-6));
    setState({ at: "with the carrier", parcel });
    await runMutation("setStatus", { orderId, status: "shipped" });
    const delivered = await waitForEvent("delivered", { timeout: "14d" });
    const isLost = delivered === undefined;
    setState({ at: isLost ? "lost" : "with you", parcel });
    await runMutation("setStatus", { orderId, status: isLost ? "lost" : "delivered" });
  },
);
