import { expect, test } from "bun:test";
import fc from "fast-check";
import { receive } from "./message.ts";
import type { TransportEvents } from "./transport.ts";

/** The events, in order. */
function listener(): { readonly told: unknown[]; readonly events: TransportEvents } {
  const told: unknown[] = [];
  const tell =
    (kind: string) =>
    (value: unknown): void => {
      told.push([kind, value]);
    };
  return {
    told,
    events: {
      onOpen: () => told.push(["open"]),
      onHello: tell("hello"),
      onChanges: tell("changes"),
      onMessage: tell("message"),
      onEnd: tell("end"),
    },
  };
}

const change = fc.record({
  seq: fc.integer({ min: 1 }),
  entity: fc.string(),
  row_id: fc.string(),
  kind: fc.constantFrom("insert", "update"),
  data: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), { noNullPrototype: true }),
  timestamp: fc.string(),
});

test("a change is passed on unchanged, and the connection continues", () => {
  fc.assert(
    fc.property(change, (sent) => {
      const { told, events } = listener();
      expect(receive(JSON.stringify(sent), events)).toBeUndefined();
      expect(told).toEqual([["changes", [JSON.parse(JSON.stringify(sent))]]]);
    }),
  );
});

test("hello is passed on, and resync ends the connection without an event", () => {
  const { told, events } = listener();
  const hello = { type: "hello", seq: 3, epoch: "e" };
  expect(receive(JSON.stringify(hello), events)).toBeUndefined();
  expect(receive(JSON.stringify({ type: "resync", reason: "r" }), events)).toBe("resync");
  expect(told).toEqual([["hello", hello]]);
});

test("unknown messages are ignored, whatever they are", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.jsonValue().map((value) => JSON.stringify(value)),
      ),
      (text) => {
        const { told, events } = listener();
        expect(receive(text, events)).toBeUndefined();
        expect(told).toEqual([]);
      },
    ),
  );
  const { told, events } = listener();
  for (const wrong of [{ type: "later" }, { type: "hello" }, { kind: "insert", seq: 0 }])
    expect(receive(JSON.stringify(wrong), events)).toBeUndefined();
  expect(told).toEqual([]);
});
