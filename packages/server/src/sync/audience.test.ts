import { expect, test } from "bun:test";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, ANONYMOUS_IDENTITY, type Caller } from "../identity/identity.ts";
import { AudienceIndex } from "./audience.ts";
import { ConnectionIndex } from "../connections/connection-index.ts";
import { Subscriber } from "../connections/subscriber.ts";

const callers: fc.Arbitrary<Caller> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(ADMIN) },
  {
    weight: 5,
    arbitrary: fc
      .record({
        userId: fc.constantFrom("u1", "u2", null),
        tenantId: fc.constantFrom("t1", null),
        roles: fc.subarray(["editor", "owner"]),
      })
      .map((values) => ({ ...ANONYMOUS, ...values })),
  },
);

function subscriberOf(caller: Caller): Subscriber {
  const nothing = (): void => undefined;
  return new Subscriber(
    { ...ANONYMOUS_IDENTITY, caller },
    {
      transport: "sse",
      write: () => 0,
      drained: async () => Promise.resolve(),
      close: nothing,
      terminate: nothing,
    },
    Infinity,
  );
}

/** Callers that connect, and which of their connections are closed again. */
const connections = fc.array(fc.tuple(callers, fc.boolean()), { maxLength: 12 });

test("every subscriber is in one audience, with exactly those that have the same values", () => {
  const names = fc.subarray(["userId", "tenantId", "roles"]);
  fc.assert(
    fc.property(connections, names, (all, keys) => {
      const index = new AudienceIndex(keys);
      const subscribers = all.map(([caller, isGone]) => ({ isGone, one: subscriberOf(caller) }));
      for (const { one } of subscribers) index.add(one);
      for (const { one, isGone } of subscribers) if (isGone) index.delete(one);
      const left = subscribers.filter(({ isGone }) => !isGone).map(({ one }) => one);
      const keyOf = ({ caller }: { readonly caller: Caller }): string =>
        caller.isAdmin
          ? "admin"
          : JSON.stringify(Object.entries(caller).filter(([name]) => keys.includes(name)));
      const audiences = [...index.all()];
      expect(audiences.flatMap(({ members }) => [...members]).length).toBe(left.length);
      expect(new Set(audiences.map(keyOf)).size).toBe(audiences.length);
      for (const audience of audiences) {
        const expected = left.filter((one) => keyOf(one) === keyOf(audience));
        expect(new Set(expected)).toEqual(audience.members);
        expect(audience.members.size).toBeGreaterThan(0);
      }
    }),
  );
});

test("by a value those are found that have it, and the admins, each once", () => {
  const values = fc.array(fc.constantFrom<(string | null)[]>("u1", "u2", "u3", null), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(connections, values, (all, wanted) => {
      const index = new AudienceIndex(["userId"]);
      const subscribers = all.map(([caller]) => subscriberOf(caller));
      for (const one of subscribers) index.add(one);
      const found = index.withValues(wanted).flatMap(({ members }) => [...members]);
      const expected = subscribers.filter(
        ({ caller }) => caller.isAdmin || wanted.includes(caller.userId),
      );
      expect(found.length).toBe(expected.length);
      expect(new Set(found)).toEqual(new Set(expected));
    }),
  );
});

test("the index of connections agrees with a list of them, and tells of first and last ones", () => {
  fc.assert(
    fc.property(connections, (all) => {
      const index = new ConnectionIndex();
      const online = new Set<string>();
      index.listen({
        first: (userId) => {
          expect(online.has(userId)).toBe(false);
          online.add(userId);
        },
        last: (userId) => {
          expect(online.delete(userId)).toBe(true);
        },
      });
      const open: Subscriber[] = [];
      const check = (): void => {
        const users = open.flatMap(({ caller }) => caller.userId ?? []);
        expect(online).toEqual(new Set(users));
        for (const userId of ["u1", "u2"])
          expect([...index.ofUser(userId)]).toEqual(
            open.filter(({ caller }) => caller.userId === userId),
          );
        for (const tenantId of ["t1", null])
          expect([...index.ofTenant(tenantId)]).toEqual(
            open.filter(
              ({ caller }) =>
                caller.tenantId === tenantId && (caller.userId !== null || caller.isAdmin),
            ),
          );
      };
      for (const [caller, isGone] of all) {
        const one = subscriberOf(caller);
        index.add(one);
        open.push(one);
        check();
        if (!isGone) continue;
        open.pop();
        index.delete(one);
        index.delete(one);
        check();
      }
    }),
  );
});
