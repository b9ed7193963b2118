import { expect, test } from "bun:test";
import type { AuthValues, Expr } from "@pylonsync/query";
import fc from "fast-check";
import { callers, conditions, times, worlds } from "../store/sql/agreement.arbitraries.ts";
import { holds } from "../store/sql/naive-evaluator.ts";
import { audienceKeyPaths, discriminators } from "./audience.ts";

const scenes = fc.tuple(worlds, times).chain(([world, now]) =>
  fc.record({
    world: fc.constant(world),
    now: fc.constant(now),
    rule: conditions(world.schema),
    one: callers,
    other: callers,
  }),
);

test("callers with the same values at the key's paths see the same rows", () => {
  fc.assert(
    fc.property(scenes, ({ world, now, rule, one, other }) => {
      const names = audienceKeyPaths(rule) as readonly (keyof AuthValues)[];
      const twin = { ...other, ...Object.fromEntries(names.map((name) => [name, one[name]])) };
      expect(names).toEqual([...names].toSorted());
      for (const data of world.rows.get("Alpha") ?? [])
        expect(holds(rule, { data, auth: twin, now }, world.rows)).toBe(
          holds(rule, { data, auth: one, now }, world.rows),
        );
    }),
    { numRuns: 20 },
  );
});

test("where a rule holds, each discriminator's value of the caller is the row's", () => {
  const parts: fc.Arbitrary<Expr> = fc
    .tuple(fc.constantFrom("userId", "tenantId"), fc.boolean())
    .map(([name, swapped]) => {
      const caller: Expr = { kind: "path", root: "auth", name };
      const row: Expr = { kind: "path", root: "data", name: "id" };
      return swapped
        ? { kind: "compare", op: "==", left: row, right: caller }
        : { kind: "compare", op: "==", left: caller, right: row };
    });
  fc.assert(
    fc.property(scenes, fc.option(parts), ({ world, now, rule, one }, part) => {
      const whole: Expr = part === null ? rule : { kind: "and", items: [part, rule] };
      const found = discriminators(whole);
      if (part !== null) expect(found.length).toBeGreaterThan(0);
      for (const data of world.rows.get("Alpha") ?? [])
        if (holds(whole, { data, auth: one, now }, world.rows))
          for (const { authName, field } of found)
            expect<unknown>(one[authName as keyof AuthValues]).toBe(data[field]);
    }),
    { numRuns: 20 },
  );
});
