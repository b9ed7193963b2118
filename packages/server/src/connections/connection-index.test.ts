import { expect, test } from "bun:test";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, ANONYMOUS_IDENTITY, type Caller } from "../identity/identity.ts";
import { ConnectionIndex } from "./connection-index.ts";
import { systemPlatform } from "../platform.ts";
import { Subscriber } from "./subscriber.ts";
import { queuesOf } from "./testing/queues-of.ts";

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
      topics: null,
      write: () => 0,
      queued: () => 0,
      drained: async () => Promise.resolve(),
      close: nothing,
      terminate: nothing,
    },
    queuesOf(),
    systemPlatform,
  );
}

/** Callers that connect, and which of their connections are closed again. */
const connections = fc.array(fc.tuple(callers, fc.boolean()), { maxLength: 12 });

test("the index of connections agrees with a list, and tells of first and last", () => {
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
