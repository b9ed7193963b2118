import { expect, test } from "bun:test";
import fc from "fast-check";
import { literal, path, TRUE, type Expr } from "@pylonsync/query";
import { systemPlatform } from "../platform.ts";
import { Subscriber } from "../connections/subscriber.ts";
import { ANONYMOUS, ANONYMOUS_IDENTITY, type Caller } from "../identity/identity.ts";
import type { ChangeRecord, Reader } from "../store/store.ts";
import { callers, model, writes } from "./membership.arbitraries.ts";
import { Delivery } from "./delivery.ts";
import { SubscriptionRegistry } from "./subscriptions/registry.ts";
import { logOf, readable, readerOf, replayed, type Replica } from "./history.arbitraries.ts";
import { queuesOf } from "../connections/testing/queues-of.ts";

/** Subscribes a caller to every entity, and gives out what each change does to its replica. */
function deliveryFor(
  callers: readonly Caller[],
  reader: Reader,
  later: () => readonly ChangeRecord[],
): { delivery: Delivery; subscribers: readonly Subscriber[] } {
  const registry = new SubscriptionRegistry(model);
  const nothing = (): void => undefined;
  const outlet = {
    transport: "sse",
    topics: null,
    write: () => 0,
    queued: () => 0,
    drained: async () => Promise.resolve(),
    close: nothing,
    terminate: nothing,
  } as const;
  const subscribers = callers.map(
    (caller) =>
      new Subscriber({ ...ANONYMOUS_IDENTITY, caller }, outlet, queuesOf(), systemPlatform),
  );
  for (const subscriber of subscribers)
    for (const { name } of model.schema.entities)
      registry
        .acquire({ entity: name, where: TRUE, order: [], limit: undefined }, subscriber.caller)
        .replicas.add(subscriber);
  const delivery = new Delivery(registry, model, {
    reader,
    settle: async () => Promise.resolve(),
    later,
    now: () => 0,
    monotonic: () => 0,
    pause: () => Promise.reject(new Error("No time passes.")),
  });
  return { delivery, subscribers };
}

test("replicas that follow change by change are what their callers may read, always", async () => {
  await fc.assert(
    fc.asyncProperty(
      writes,
      fc.array(callers, { minLength: 1, maxLength: 3 }),
      fc.nat(4),
      async (all, readers, ahead) => {
        const { records, states } = logOf(all);
        let index = 0;
        const now = (): number => Math.min(records.length, index + 1 + ahead);
        const reader: Reader = {
          ...readerOf(new Map()),
          select: (query) => readerOf(states[now()] ?? new Map()).select(query),
          test: (expr) => readerOf(states[now()] ?? new Map()).test(expr),
        };
        const { delivery, subscribers } = deliveryFor(readers, reader, () =>
          records.slice(index + 1, now()),
        );
        const replicas: Replica[] = subscribers.map(() => new Map());
        for (const record of records) {
          const { effects, lost } = await delivery.deliver(record);
          expect(lost).toEqual([]);
          for (const [at, subscriber] of subscribers.entries()) {
            const events = effects
              .filter(({ subscription }) => subscription.replicas.has(subscriber))
              .map(({ message }) => message.event);
            replicas[at] = replayed(replicas[at] ?? new Map(), events);
            expect(replicas[at]).toEqual(readable(model, states[index + 1], subscriber.caller));
          }
          index += 1;
        }
      },
    ),
    { numRuns: 300 },
  );
}, 60_000);

test("T17: while a change is compared with many filters, other work has its turns", async () => {
  const registry = new SubscriptionRegistry(model);
  const room = (name: string): Expr => ({
    kind: "compare",
    op: "!=",
    left: path("data", "room"),
    right: literal(name),
  });
  for (let n = 0; n < 10; n += 1)
    registry.acquire(
      { entity: "Todo", where: room(`r${n}`), order: [], limit: undefined },
      { ...ANONYMOUS, isAdmin: true },
    );
  const { records, states } = logOf([{ entity: "Todo", id: "t", row: { room: "r", owner: "u" } }]);
  const [record] = records;
  if (record === undefined) throw new Error("There is no change.");
  let [now, pauses] = [0, 0];
  const delivery = new Delivery(registry, model, {
    reader: readerOf(states.at(-1) ?? new Map()),
    settle: async () => Promise.resolve(),
    later: () => [],
    now: () => 0,
    monotonic: () => (now += 7),
    pause: () => Promise.resolve(void (pauses += 1)),
  });
  const { effects } = await delivery.deliver(record);
  expect([effects.length, pauses]).toEqual([10, 3]);
});

test("a change asks the store once for those whom it concerns", async () => {
  const users = Array.from({ length: 1000 }, (_, index) => ({
    ...ANONYMOUS,
    userId: `u${index}`,
  }));
  const changes = logOf([
    ...users.map(({ userId }, index) => ({
      entity: "Member",
      id: `m${index}`,
      row: { room: `r${index % 200}`, owner: userId },
    })),
    { entity: "Todo", id: "t1", row: { room: "r7", owner: null } },
    { entity: "Todo", id: "t2", row: { room: "r7", owner: null } },
    { entity: "Todo", id: "t2", row: { room: "r8", owner: null } },
    { entity: "Member", id: "m7", row: null },
  ]);
  const told = changes.records.slice(users.length);
  let state = users.length;
  let calls = 0;
  const reader: Reader = {
    ...readerOf(new Map()),
    select: (query) => ((calls += 1), readerOf(changes.states[state] ?? new Map()).select(query)),
    test: (expr) => ((calls += 1), readerOf(changes.states[state] ?? new Map()).test(expr)),
  };
  const { delivery } = deliveryFor(users, reader, () => []);
  const heard: { readonly readers: number; readonly calls: number }[] = [];
  for (const record of told) {
    state += 1;
    calls = 0;
    const { effects } = await delivery.deliver(record);
    const readers = new Set(effects.flatMap(({ subscription }) => [...subscription.replicas]));
    heard.push({ readers: readers.size, calls });
  }
  expect(heard).toEqual([
    // Who is in the room, and who is banned from it.
    { readers: 5, calls: 2 },
    { readers: 5, calls: 0 },
    { readers: 10, calls: 2 },
    // The rows that the former member loses: todos, and the memberships that it saw.
    { readers: 5, calls: 2 },
  ]);
});
