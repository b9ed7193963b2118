import { expect, test } from "bun:test";
import type { ReadyMessage, RowsMessage } from "@pylonsync/protocol";
import { QuerySubscription } from "./query-subscription.ts";

const ready: ReadyMessage = { type: "ready", sub: 7, seq: 9, epoch: "log.x" };

function page(rest: Omit<RowsMessage, "type" | "sub">): RowsMessage {
  return { type: "rows", sub: 7, ...rest };
}

function subscription(limit?: number): QuerySubscription {
  return new QuerySubscription(1, {
    entity: "Todo",
    where: { done: false },
    order: undefined,
    limit,
    matches: () => true,
  });
}

test("pages count together, and a reset among them begins again", () => {
  const one = subscription();
  one.take(page({ reset: true, rows: [{ id: "a" }, { id: "b" }] }));
  one.take(page({ rows: [{ id: "c" }] }));
  expect(one.complete(ready).rows.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  one.resync();
  one.take(page({ reset: true, rows: [{ id: "a" }, { id: "d" }] }));
  one.take(page({ reset: true, rows: [] }));
  expect(one.complete(ready)).toEqual({ rows: [], patches: [], gone: ["a", "b", "c"] });
  expect([...one.ids]).toEqual([]);
});

test("without a reset what is known stays, but for what is gone", () => {
  const one = subscription();
  one.take(page({ reset: true, rows: [{ id: "a" }, { id: "b" }] }));
  one.complete(ready);
  one.disconnect();
  expect(one.request(9)).toMatchObject({ known: { seq: 9, epoch: "log.x" } });
  one.take(page({ rows: [{ id: "c" }], keep: ["a"], gone: ["b"] }));
  expect(one.complete(ready).gone).toEqual(["b"]);
  expect([...one.ids]).toEqual(["a", "c"]);
});

test("a window names its rows, and one that the server does not keep has no limit", () => {
  const window = subscription(2);
  window.take(page({ reset: true, rows: [{ id: "a" }] }));
  window.complete(ready);
  expect(window.request(9)).toMatchObject({ limit: 2, known: { ids: ["a"] } });
  expect(window.request(null)).toMatchObject({ known: undefined });
  const long = subscription(1_001);
  expect(long.request(null)).toMatchObject({ limit: undefined });
});
