/// <reference types="bun" />
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { createTestApp, type TestApp } from "@pylonsync/testing";

const OWNER = "owner@shop.example";

let t: TestApp;
beforeAll(async () => {
  const now = new Date("2026-03-02T12:00:00Z");
  t = await createTestApp(join(import.meta.dir, ".."), { env: { DIGEST_TO: OWNER }, now });
});
beforeEach(() => t.reset());
afterAll(() => t.close());

async function order(stock = 1): Promise<string> {
  const productId = await t.db.insert("Product", { name: "Teapot", cents: 2490, stock });
  const { orderId } = await t.run<{ orderId: string }>("placeOrder", { productId }, { as: "ann" });
  return orderId;
}

const statusOf = async (id: string): Promise<unknown> => (await t.db.get("Order", id))?.["status"];

test("an order is packed, shipped, and delivered once its customer confirms it", async () => {
  const id = await order();
  expect(await statusOf(id)).toBe("placed");
  await t.advance("2s");
  expect(await statusOf(id)).toBe("shipped");
  await expect(t.run("confirmDelivery", { orderId: id }, { as: "bob" })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  await t.run("confirmDelivery", { orderId: id }, { as: "ann" });
  await t.advance("1s");
  expect(await statusOf(id)).toBe("delivered");
});

test("a parcel that is not confirmed within two weeks is lost", async () => {
  const id = await order();
  await t.advance("13d");
  expect(await statusOf(id)).toBe("shipped");
  await t.advance("2d");
  expect(await statusOf(id)).toBe("lost");
});

test("a sold-out product cannot be ordered, and is not shipped", async () => {
  await order(1);
  const [product] = await t.db.query("Product");
  const again = t.run("placeOrder", { productId: product?.["id"] }, { as: "bob" });
  await expect(again).rejects.toMatchObject({ code: "SOLD_OUT" });
  expect(await t.db.count("Order")).toBe(1);
  expect(await t.as("bob").list("Order")).toEqual([]);
  const [placed] = await t.db.query("Order");
  const free = { status: "delivered" };
  expect(await t.as("ann").canUpdate("Order", String(placed?.["id"]), free)).toBe(false);
  expect(await t.as("ann").canInsert("Order", { product: "Teapot" })).toBe(false);
});

test("an import writes each product once, and skips invalid lines", async () => {
  const lines = Array.from({ length: 60 }, (_, at) => `Cup ${at}, 6.50, ${at}`);
  const text = [...lines, "no product", ""].join("\n");
  for (let times = 0; times < 2; times += 1) {
    await t.run("importProducts", { text }, { as: "ann" });
    await t.advance("1s");
  }
  expect(await t.db.count("Product")).toBe(60);
  const [cup] = await t.db.query("Product", { name: "Cup 7" });
  expect(cup).toMatchObject({ cents: 650, stock: 7 });
});

test("each night the owner is mailed the changes since the last digest, each once", async () => {
  const before = (await t.mails()).length;
  const digests = async (): Promise<readonly string[]> =>
    (await t.mails()).slice(before).map(({ to, text }) => `${to}: ${text}`);
  await order();
  await t.advance("1d");
  expect(await digests()).toEqual([`${OWNER}: 1 shipped\nSold out: Teapot`]);
  await t.advance("2d");
  expect(await digests()).toHaveLength(1);
  await t.advance("14d");
  expect(await digests()).toEqual([
    `${OWNER}: 1 shipped\nSold out: Teapot`,
    `${OWNER}: 1 lost\nSold out: Teapot`,
  ]);
});
