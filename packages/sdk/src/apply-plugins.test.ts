import { expect, test } from "bun:test";
import fc from "fast-check";
import { applyPlugins } from "./apply-plugins.ts";
import type { AuthHooks, Claims } from "./auth.ts";
import type { EntityHooks, Plugin } from "./plugin.ts";

const APP = { entities: [], policies: [], crons: undefined, queues: undefined, auth: {} };
const event = { user: { id: "u" }, method: "password" };

/** Plugins whose constraints are satisfied by one order, which is not that of the list. */
const wishes = fc.nat({ max: 6 }).chain((count) =>
  fc.record({
    listed: fc.shuffledSubarray(
      Array.from({ length: count }, (_, n) => n),
      { minLength: count },
    ),
    pairs: fc.array(fc.tuple(fc.nat(count), fc.nat(count), fc.boolean()), { maxLength: 8 }),
  }),
);

test("hooks run in the order of the app, except where before and after differ", () => {
  fc.assert(
    fc.property(wishes, ({ listed, pairs }) => {
      const rules = pairs
        .map(([a, b, isBefore]) => ({ first: Math.min(a, b), last: Math.max(a, b), isBefore }))
        .filter(({ first, last }) => first !== last);
      const hooks = new Map<EntityHooks, number>();
      const plugins = listed.map((n): Plugin => {
        const own: EntityHooks = {};
        hooks.set(own, n);
        return {
          name: String(n),
          hooks: own,
          before: rules.filter((r) => r.isBefore && r.first === n).map((r) => String(r.last)),
          after: rules.filter((r) => !r.isBefore && r.last === n).map((r) => String(r.first)),
        };
      });
      const order = applyPlugins(APP, plugins).hooks.map((own) => hooks.get(own) ?? -1);
      expect(order.toSorted((a, b) => a - b)).toEqual(listed.toSorted((a, b) => a - b));
      for (const { first, last } of rules)
        if (order.includes(first) && order.includes(last))
          expect(order.indexOf(first)).toBeLessThan(order.indexOf(last));
      if (rules.length === 0) expect(order).toEqual(listed);
    }),
  );
});

const answers = fc.constantFrom(true, false, null, undefined, "absent" as const);

test("all must allow a sign-up and a sign-in, in order, and the roles of all count", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(answers, fc.array(fc.constantFrom("a", "b", "c"))), { minLength: 1 }),
      async (all) => {
        const asked: number[] = [];
        const made = all.map(([answer, roles], n): AuthHooks => {
          if (answer === "absent") return {};
          const ask = (): boolean | null | undefined => {
            asked.push(n);
            return answer;
          };
          return {
            onSignUp: ask,
            onSignIn: ask,
            claims: (): Claims => ({ roles, claims: { last: n } }),
          };
        });
        const [app = {}, ...rest] = made.toReversed();
        const plugins = rest.toReversed().map((auth, n): Plugin => ({ name: String(n), auth }));
        const { auth } = applyPlugins({ ...APP, auth: app }, plugins);
        const firstNo = all.findIndex(([answer]) => answer === false || answer === null);
        const wanted = all.flatMap(([answer], n) =>
          answer === "absent" || (firstNo !== -1 && n > firstNo) ? [] : [n],
        );
        for (const kind of ["onSignUp", "onSignIn"] as const) {
          asked.length = 0;
          const answer = await auth[kind]?.(event);
          expect(answer === false || answer === null).toBe(firstNo !== -1);
          expect(asked).toEqual(wanted);
        }
        const roles = all.flatMap(([answer, own]) => (answer === "absent" ? [] : own));
        const said = await auth.claims?.(event);
        expect(new Set(said?.roles ?? [])).toEqual(new Set(roles));
        const last = all.findLastIndex(([answer]) => answer !== "absent");
        expect(said?.claims ?? {}).toEqual(last === -1 ? {} : { last });
      },
    ),
  );
});
