import { type Order, rowComparator } from "@pylonsync/query";
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow } from "../../store/store.ts";
import { Window } from "./window.ts";

const ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
const change = fc.record({
  id: fc.constantFrom(...ids),
  /** Null: the row leaves the subscription. */
  n: fc.option(fc.integer({ min: 0, max: 3 })),
  text: fc.constantFrom("x", "y"),
});
const commits = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 12 });
const orders = fc.constantFrom<readonly Order[]>(
  [],
  [{ field: "n", direction: "asc" }],
  [{ field: "n", direction: "desc" }],
);

const byId = (rows: readonly StoredRow[]): StoredRow[] =>
  rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));

test("a window holds the first rows, and tells what came in, changed and left", () => {
  fc.assert(
    fc.property(
      commits,
      orders,
      fc.integer({ min: 1, max: 4 }),
      fc.uniqueArray(fc.constantFrom(...ids)),
      (all, order, limit, first) => {
        const rows = new Map<string, StoredRow>(
          first.map((id, index) => [id, { id, n: index % 3, text: "x" }]),
        );
        const sorted = (): StoredRow[] => [...rows.values()].toSorted(rowComparator(order));
        const window = new Window(order, limit);
        window.begin(sorted().slice(0, limit + 1), false);
        let before = sorted().slice(0, limit);
        expect(window.ids).toEqual(before.map(({ id }) => id));

        for (const commit of all) {
          const touched = new Set<string>();
          for (const { id, n, text } of commit) {
            touched.add(id);
            if (n === null) {
              rows.delete(id);
              window.remove(id);
              continue;
            }
            const row = { id, n, text };
            rows.set(id, row);
            window.put(row);
          }
          if (window.needsRefill) window.refill(sorted().slice(0, limit + 1));
          const now = sorted().slice(0, limit);
          expect(window.ids).toEqual(now.map(({ id }) => id));
          // Only the fields of the order are stored.
          const stored = (of: readonly StoredRow[]): unknown =>
            of.map((row) => [row.id, ...order.map(({ field }) => row[field])]);
          if (!Bun.deepEquals(stored(now), stored(before))) expect(window.isChanged).toBe(true);
          const wasIn = new Set(before.map(({ id }) => id));
          const { entered, stayed, left } = window.flush();
          expect(byId(entered)).toEqual(byId(now.filter(({ id }) => !wasIn.has(id))));
          expect(byId(stayed)).toEqual(
            byId(now.filter(({ id }) => wasIn.has(id) && touched.has(id))),
          );
          expect(left.toSorted()).toEqual([...wasIn].filter((id) => !window.has(id)).toSorted());
          before = now;
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("a change of fields that are not stored leaves the entries as they are", () => {
  const window = new Window([{ field: "n", direction: "asc" }], 2, ["parent"]);
  const row = { id: "a", n: 1, parent: "p", text: "x" };
  window.begin([row], false);
  window.put({ ...row, text: "y" });
  expect(window.isChanged).toBe(false);
  expect(window.flush().stayed).toEqual([{ ...row, text: "y" }]);
  for (const changed of [
    { ...row, n: 2 },
    { ...row, parent: "q" },
  ]) {
    window.put(changed);
    expect(window.isChanged).toBe(true);
    window.flush();
    expect(window.isChanged).toBe(false);
  }
});

test("what is not flushed is told with the next flush, as one change", () => {
  const window = new Window([], 2);
  window.begin([{ id: "a" }, { id: "b" }], false);
  window.remove("a");
  window.put({ id: "a", n: 1 });
  expect(window.flush()).toEqual({ entered: [], stayed: [{ id: "a", n: 1 }], left: [] });
  expect(window.flush()).toEqual({ entered: [], stayed: [], left: [] });
});
