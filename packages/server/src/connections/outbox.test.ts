import { CloseCode } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { BroadcastGroup } from "./broadcast-group.ts";
import { Outbox } from "./outbox.ts";
import { Sockets, streamSubscriber } from "./testing/sockets.ts";

test("a socket is written to once for all messages of a delivery", () => {
  const sockets = new Sockets();
  const outbox = new Outbox();
  const all = Array.from({ length: 5 }, () => sockets.open());
  for (let message = 0; message < 60; message += 1)
    for (const { subscriber } of all) outbox.send(subscriber, `${message}`);
  expect(sockets.written).toBe(0);
  outbox.flush();
  expect(sockets.written).toBe(5);
  for (const { heard } of all) expect(heard).toEqual([...Array(60).keys()].map(String));
});

test("held messages are sent at the end of the turn, if the delivery takes longer", () => {
  const sockets = new Sockets();
  const { subscriber, heard } = sockets.open();
  new Outbox().send(subscriber, "one");
  expect(heard).toEqual([]);
  sockets.nextTurn();
  expect(heard).toEqual(["one"]);
});

test("not more is held than one write may have, of one reader or of many", () => {
  const sockets = new Sockets();
  const outbox = new Outbox();
  const { subscriber, heard } = sockets.open();
  for (let message = 0; message < 40; message += 1) outbox.send(subscriber, "x".repeat(1000));
  expect(heard.length).toBeGreaterThan(30);
  for (let reader = 0; reader < 3000; reader += 1) outbox.send(sockets.open().subscriber, "small");
  expect(sockets.written).toBeGreaterThan(2000);
});

test("a reader that does not read what was held is cut off", () => {
  let waiting = 0;
  const sockets = new Sockets();
  const slow = sockets.open({ backlog: () => waiting });
  const outbox = new Outbox();
  const send = (): void => {
    for (const text of ["one", "two"]) outbox.send(slow.subscriber, text);
    outbox.flush();
  };
  send();
  expect(slow.subscriber.isOpen).toBe(true);
  waiting = 1_000_000;
  send();
  send();
  expect(slow.subscriber.isOpen).toBe(false);
  expect(slow.heard).toEqual(["one", "two", "one", "two"]);
});

test("held messages are sent before a socket is closed, and none after that", () => {
  const sockets = new Sockets();
  const [ended, gone] = [sockets.open(), sockets.open()];
  const outbox = new Outbox();
  for (const { subscriber } of [ended, gone]) outbox.send(subscriber, "one");
  ended.subscriber.close(CloseCode.TRY_AGAIN_LATER, "over");
  expect(ended.heard).toEqual(["one"]);
  gone.subscriber.closed();
  for (const { subscriber } of [ended, gone]) outbox.send(subscriber, "two");
  outbox.flush();
  expect([ended.heard, gone.heard]).toEqual([["one"], []]);
});

test("each hears what is sent while it is a member, in order, however it is sent", () => {
  const step = fc.tuple(
    fc.constantFrom("group", "few", "now", "held", "flush", "turn", "join", "leave", "close"),
    fc.nat(24),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const sockets = new Sockets();
      const outbox = new Outbox();
      const people = Array.from({ length: 25 }, (_, index) => {
        const heard: string[] = [];
        return index % 5 > 0 ? sockets.open() : { subscriber: streamSubscriber(heard), heard };
      });
      const expected = people.map((): string[] => []);
      const [group, few] = [new BroadcastGroup(), new BroadcastGroup()];
      for (const { subscriber } of people) group.add(subscriber);
      for (const { subscriber } of people.slice(0, 6)) few.add(subscriber);
      for (const [number, [kind, index]] of steps.entries()) {
        const text = `${number}`;
        const one = people[index];
        if (kind === "flush") outbox.flush();
        else if (kind === "turn") sockets.nextTurn();
        else if (kind === "group" || kind === "few") {
          const to = kind === "group" ? group : few;
          to.send(text, index % 2 === 0 ? outbox : undefined);
          for (const [at, { subscriber }] of people.entries())
            if (to.has(subscriber) && subscriber.isOpen) expected[at]?.push(text);
        } else if (one !== undefined && kind === "join") group.add(one.subscriber);
        else if (one !== undefined && kind === "leave") group.delete(one.subscriber);
        else if (kind === "close") one?.subscriber.close(CloseCode.TRY_AGAIN_LATER, "over");
        else if (one?.subscriber.isOpen === true) {
          if (kind === "now") one.subscriber.send(text);
          else outbox.send(one.subscriber, text);
          expected[index]?.push(text);
        }
      }
      outbox.flush();
      expect(people.map(({ heard }) => heard)).toEqual(expected);
    }),
  );
});
