import { expect, test } from "bun:test";
import fc from "fast-check";
import { LabelTree } from "./label-tree.ts";

test("equal labels are counted together, and different ones separately", () => {
  const labels = fc.tuple(fc.string({ maxLength: 2 }), fc.string({ maxLength: 2 }));
  fc.assert(
    fc.property(fc.array(labels), (counted) => {
      const tree = new LabelTree((values) => ({ values, count: 0 }));
      const naive = new Map<string, number>();
      for (const values of counted) {
        tree.of(values).count += 1;
        const key = JSON.stringify(values);
        naive.set(key, (naive.get(key) ?? 0) + 1);
      }
      const found = tree.all.map(({ values, count }) => [JSON.stringify(values), count]);
      expect(found).toEqual([...naive]);
    }),
  );
});

test("without labels there is one series", () => {
  const tree = new LabelTree(() => ({ count: 0 }));
  tree.of([]).count += 1;
  tree.of([]).count += 1;
  expect(tree.all).toEqual([{ count: 2 }]);
});
