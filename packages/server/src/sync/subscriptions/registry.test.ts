import { expect, test } from "bun:test";
import { and, literal, path, TRUE, type CompareOp, type Expr } from "@pylonsync/query";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../../identity/identity.ts";
import { modelOf } from "../history.arbitraries.ts";
import { SubscriptionRegistry } from "./registry.ts";
import type { Subscription, SubscriptionQuery } from "./subscription.ts";

// Which subscriptions a changed row may concern: never fewer than those that it is in.

const model = modelOf(
  buildManifest({
    name: "registry",
    version: "1.0.0",
    entities: [
      entity("Note", { owner: field.string(), room: field.string(), count: field.int() }),
      entity("Public", { room: field.string() }),
    ],
    policies: [
      policy({ name: "notes", entity: "Note", allowRead: "data.owner == auth.userId" }),
      policy({ name: "public", entity: "Public", allowRead: "true" }),
    ],
  }),
);

const compare = (op: CompareOp, name: string, value: string | number): Expr => ({
  kind: "compare",
  op,
  left: path("data", name),
  right: literal(value),
});
const is = (name: string, value: string): Expr => compare("==", name, value);
const rooms = fc.constantFrom("a", "b", "c");
const owners = fc.constantFrom("ann", "bob");
const conditions: fc.Arbitrary<Expr> = fc.oneof(
  fc.constant(TRUE),
  rooms.map((room) => is("room", room)),
  fc.integer({ min: 0, max: 3 }).map((count) => compare(">", "count", count)),
  fc
    .tuple(rooms, fc.integer({ min: 0, max: 3 }))
    .map(([room, count]) => and(is("room", room), compare("<=", "count", count))),
);
const callers = fc.oneof(
  owners.map((userId): Caller => ({ ...ANONYMOUS, userId })),
  fc.constantFrom<Caller>(ANONYMOUS, ADMIN),
);
const query = (where: Expr, limit?: number): SubscriptionQuery => ({
  entity: "Note",
  where,
  order: [],
  limit,
});
const row = fc.record({ owner: owners, room: rooms, count: fc.integer({ min: 0, max: 4 }) });

function found(registry: SubscriptionRegistry, data: object, name = "Note"): Set<Subscription> {
  const into = new Set<Subscription>();
  registry.find(name, { id: "1", ...data }, null, into);
  return into;
}

test("a row finds each subscription that it is in, until that is released", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(callers, conditions, fc.boolean()), { maxLength: 12 }),
      fc.array(row, { minLength: 1, maxLength: 5 }),
      (asked, rows) => {
        const registry = new SubscriptionRegistry(model);
        const all = asked.map(([caller, where, isLeft]) => ({
          subscription: registry.acquire(query(where), caller),
          isLeft,
        }));
        const left = new Set(all.filter(({ isLeft }) => isLeft).map((one) => one.subscription));
        for (const one of left) registry.release(one);
        const kept = [...new Set(all.map((one) => one.subscription))].filter(
          (one) => !left.has(one),
        );
        expect(registry.size).toBe(kept.length);
        for (const data of rows) {
          const hits = found(registry, data);
          const now = "2026-01-01T00:00:00.000Z";
          const whole = { id: "1", ...data };
          for (const one of kept)
            if (one.matches(whole, now) && one.allows(whole, { now })) expect(hits).toContain(one);
          for (const hit of hits) expect(kept).toContain(hit);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("a row is not looked at for subscriptions to other values", () => {
  const registry = new SubscriptionRegistry(model);
  const asked = ["a", "b", "c"].map((room) => registry.acquire(query(is("room", room)), ADMIN));
  expect([...found(registry, { owner: "ann", room: "b", count: 1 })]).toEqual(asked.slice(1, 2));
  const ann = registry.acquire(query(TRUE), { ...ANONYMOUS, userId: "ann" });
  registry.acquire(query(TRUE), { ...ANONYMOUS, userId: "bob" });
  expect([...found(registry, { owner: "ann", room: "x", count: 1 })]).toEqual([ann]);
  expect(found(registry, { room: "a" }, "Public").size).toBe(0);
});

test("those who ask the same with the same rights share, and nobody else", () => {
  const registry = new SubscriptionRegistry(model);
  const open = (caller: Caller): Subscription =>
    registry.acquire({ entity: "Public", where: TRUE, order: [], limit: undefined }, caller);
  const [ann, bob] = ["ann", "bob"].map((userId) => ({ ...ANONYMOUS, userId }));
  if (ann === undefined || bob === undefined) throw new Error("There are two.");
  expect(open(ann)).toBe(open(bob));
  expect(registry.acquire(query(TRUE), ann)).not.toBe(registry.acquire(query(TRUE), bob));
  const window = registry.acquire(query(TRUE, 5), ann);
  expect(window).not.toBe(registry.acquire(query(TRUE, 6), ann));
  // What a client knows of one window counts for another over the same condition.
  expect(window.knownUnder).toBe(registry.acquire(query(TRUE, 6), ann).knownUnder);
  expect(window.knownUnder).not.toBe(registry.acquire(query(is("room", "a"), 5), ann).knownUnder);
  registry.reset(model);
  expect([registry.size, found(registry, { owner: "ann" }).size]).toEqual([0, 0]);
});
