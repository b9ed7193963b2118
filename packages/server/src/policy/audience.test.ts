import { expect, test } from "bun:test";
import { bind, type Expr } from "@pylonsync/query";
import fc from "fast-check";
import { callers, conditions, times, worlds } from "../store/sql/agreement.arbitraries.ts";
import { holds } from "../store/sql/naive-evaluator.ts";
import { equalityKeys, keysOf } from "./audience.ts";

const scenes = fc.tuple(worlds, times).chain(([world, now]) =>
  fc.record({
    world: fc.constant(world),
    now: fc.constant(now),
    rule: conditions(world.schema),
    caller: callers,
  }),
);

test("a row that satisfies a condition has one of the condition's keys", () => {
  const owns: Expr = {
    kind: "compare",
    op: "==",
    left: { kind: "path", root: "auth", name: "userId" },
    right: { kind: "path", root: "data", name: "id" },
  };
  const parts = fc.constantFrom<("and" | "or")[]>("and", "or");
  fc.assert(
    fc.property(scenes, fc.option(parts), ({ world, now, rule, caller }, kind) => {
      const whole: Expr = kind === null ? rule : { kind, items: [owns, rule] };
      const found = [
        keysOf(whole, (part) => equalityKeys(part, "data", caller)),
        keysOf(bind(whole, { auth: caller }), (part) => equalityKeys(part, "data")),
      ];
      if (kind === "and") expect(found[0]).not.toBeNull();
      for (const data of world.rows.get("Alpha") ?? []) {
        if (!holds(whole, { data, auth: caller, now }, world.rows)) continue;
        for (const keys of found)
          if (keys !== null)
            expect(keys.some(({ field, value }) => (data[field] ?? null) === value)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});
