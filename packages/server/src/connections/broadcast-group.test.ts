import { expect, test } from "bun:test";
import fc from "fast-check";
import { BroadcastGroup } from "./broadcast-group.ts";
import { Sockets, streamSubscriber } from "./testing/sockets.ts";

test("a member of a group hears each text once, and no one else does", () => {
  const steps = fc.array(fc.tuple(fc.nat(39), fc.boolean()), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (all) => {
      const listeners = [new Sockets(), new Sockets()];
      const people = Array.from({ length: 40 }, (_, index) => {
        if (index % 5 !== 0) return listeners[index % 2]?.open() ?? new Sockets().open();
        const heard: string[] = [];
        return { subscriber: streamSubscriber(heard), heard };
      });
      const group = new BroadcastGroup();
      const expected = people.map((): string[] => []);
      for (const [step, [index, isIn]] of all.entries()) {
        const one = people[index];
        if (one === undefined) continue;
        if (isIn) group.add(one.subscriber);
        else group.delete(one.subscriber);
        group.send(`${step}`);
        for (const [at, { subscriber }] of people.entries())
          if (group.has(subscriber)) expected[at]?.push(`${step}`);
      }
      expect(people.map(({ heard }) => heard)).toEqual(expected);
    }),
  );
});

test("many sockets are reached by one call, and a large text by one for each", () => {
  const sockets = new Sockets();
  const group = new BroadcastGroup();
  const all = Array.from({ length: 100 }, () => sockets.open());
  for (const { subscriber } of all) group.add(subscriber);
  group.send("small");
  group.send("x".repeat(100_000));
  expect(sockets.published).toBe(1);
  expect(all.every(({ heard }) => heard.length === 2)).toBe(true);
});

test("a reader for whom too much waits is cut off before the runtime drops any", async () => {
  const sockets = new Sockets();
  const group = new BroadcastGroup();
  for (let index = 0; index < 20; index += 1) group.add(sockets.open().subscriber);
  const slow = sockets.open({ backlog: () => 100_000 });
  group.add(slow.subscriber);
  for (let sent = 0; sent < 100; sent += 1) {
    group.send("x".repeat(1000));
    sockets.nextTurn();
  }
  expect(slow.subscriber.isOpen).toBe(false);
  expect(slow.heard.length).toBeLessThan(40);
});

test("what one turn brings beyond what may wait unseen is sent to each, once and in order", () => {
  const [busy, quiet] = [new Sockets(), new Sockets()];
  const group = new BroadcastGroup();
  const all = [...Array(20).keys()].map((index) => (index % 2 === 0 ? busy : quiet).open());
  for (const { subscriber } of all) group.add(subscriber);
  const texts = [...Array(60).keys()].map((index) => `${index} ${"x".repeat(1000)}`);
  for (const text of texts.slice(0, 50)) group.send(text);
  expect(busy.published).toBeLessThan(40);
  quiet.nextTurn();
  for (const text of texts.slice(50)) group.send(text);
  expect(quiet.published).toBeGreaterThan(busy.published);
  for (const { heard } of all) expect(heard).toEqual(texts);
});
