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

test("pages accumulate, and a reset among them starts again", () => {
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

test("without a reset known rows stay, except for removed ones", () => {
  const one = subscription();
  one.take(page({ reset: true, rows: [{ id: "a" }, { id: "b" }] }));
  one.complete(ready);
  one.disconnect(12);
  // It includes all commits that the server has reported by then.
  expect(one.request(false)).toMatchObject({ known: { seq: 12, epoch: "log.x" } });
  one.take(page({ rows: [{ id: "c" }], keep: ["a"], gone: ["b"] }));
  expect(one.complete(ready).gone).toEqual(["b"]);
  expect([...one.ids]).toEqual(["a", "c"]);
});

test("a window names its rows, and one that the server does not maintain has no limit", () => {
  const window = subscription(2);
  window.take(page({ reset: true, rows: [{ id: "a" }] }));
  window.complete(ready);
  expect(window.request(false)).toMatchObject({ limit: 2, known: { ids: ["a"] } });
  expect(window.request(true)).toMatchObject({ known: undefined });
  const long = subscription(1_001);
  expect(long.request(true)).toMatchObject({ limit: undefined });
});

test("a waiting query continues from its own position, and not from that of others", () => {
  const one = subscription();
  one.take(page({ reset: true, rows: [{ id: "a" }] }));
  one.complete(ready);
  one.disconnect(12);
  // The next connection reports later changes, but not yet for this query.
  expect(one.keptAt(50)).toMatchObject({ seq: 12, epoch: "log.x" });
  one.disconnect(50);
  expect(one.request(false)).toMatchObject({ known: { seq: 12 } });
});

test("its includes are named by their nesting, stored, and continued", () => {
  const query = { entity: "Todo", where: {}, order: undefined, limit: undefined, include: {} };
  const make = (): QuerySubscription => new QuerySubscription(1, { ...query, matches: () => true });
  const one = make();
  one.include([
    { path: "/tags", entity: "Tagging", number: 8 },
    { path: "/tags/$rows", entity: "Tag", number: 9 },
    { path: "/author", entity: "User", number: 10 },
  ]);
  const related = [...one.related.values()];
  one.take(page({ reset: true, rows: [{ id: "a" }] }));
  for (const [index, part] of related.entries())
    part.take(page({ reset: true, rows: [{ id: `r${index}` }] }));
  for (const part of one.parts) part.complete(ready);
  const known = {
    seq: 9,
    epoch: "log.x",
    ids: ["a"],
    include: {
      tags: { ids: ["r0"], include: { $rows: { ids: ["r1"] } } },
      author: { ids: ["r2"] },
    },
  };
  one.disconnect(9);
  expect(one.request(false)).toMatchObject({ known });

  const kept = one.keptAt(9);
  if (kept?.seq === undefined) throw new Error("It is not kept.");
  const next = make();
  next.restore(kept, kept.seq, kept.ids ?? []);
  expect(next.request(false)).toMatchObject({ known });
  expect(next.parts.flatMap(({ ids }) => [...ids])).toEqual(["a", "r0", "r1", "r2"]);
});
