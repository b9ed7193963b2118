import { expect, test } from "bun:test";
import fc from "fast-check";
import { FrameReader, FrameWriter } from "./frames.ts";

/** JSON values, and some values that JSON would lose. */
const VALUES = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(undefined, NaN, -0),
  fc.date({ noInvalidDate: true }),
  fc.bigInt(),
  fc.record({ absent: fc.constant(undefined), bytes: fc.uint8Array() }),
);

test("messages arrive whole and in order, however the socket cuts them", () => {
  fc.assert(
    fc.property(
      fc.array(VALUES),
      fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
      fc.infiniteStream(fc.integer({ min: 1, max: 60 })),
      (messages, cuts, room) => {
        const sent: number[] = [];
        const writer = new FrameWriter({
          write: (bytes) => {
            const taken = bytes.subarray(0, room.next().value);
            sent.push(...taken);
            return taken.length;
          },
        });
        for (const message of messages) writer.send(message);
        for (let more = 0; more < 100_000 && sent.length !== more;) {
          more = sent.length;
          for (let tries = 0; tries < 20; tries += 1) writer.drain();
        }
        const reader = new FrameReader();
        const received: unknown[] = [];
        for (let at = 0; at < sent.length;) {
          const cut = cuts.next().value;
          received.push(...reader.take(Uint8Array.from(sent.slice(at, at + cut))));
          at += cut;
        }
        expect(received).toEqual(structuredClone(messages));
      },
    ),
    { numRuns: 100 },
  );
});

test("a value that can't be cloned is rejected, and later messages are sent", () => {
  const sent: Uint8Array[] = [];
  const writer = new FrameWriter({ write: (bytes) => sent.push(bytes) && bytes.length });
  expect(() => writer.send({ handler: () => 1 })).toThrow();
  writer.send({ a: undefined });
  const reader = new FrameReader();
  expect(sent.flatMap((bytes) => [...reader.take(bytes)])).toEqual([{ a: undefined }]);
});

test("a cycle and a value that is shared many times are sent as they are", () => {
  const cycle: Record<string, unknown> = { name: "cycle" };
  cycle["self"] = cycle;
  let shared: unknown = [1];
  for (let level = 0; level < 100; level += 1) shared = [shared, shared];
  const received = afterTransfer([cycle, shared]);
  const [back] = received as [Record<string, unknown>];
  expect(back["self"]).toBe(back);
  let last = received[1];
  for (let level = 0; level < 100; level += 1) last = (last as unknown[])[1];
  expect(last).toEqual([1]);
});

test("a large text arrives unchanged", () => {
  const text = `${"\u00e9\ud800".repeat(40_000)}"`;
  expect(afterTransfer([{ text }, { text: "\ud800" }])).toEqual([{ text }, { text: "\ud800" }]);
});

test("the messages of a turn are sent in order, with one write at its end", () => {
  const sent: Uint8Array[] = [];
  const turn: (() => void)[] = [];
  const writer = new FrameWriter(
    { write: (bytes) => sent.push(bytes) && bytes.length },
    (work) => void turn.push(work),
  );
  const endTurn = (): void => turn.splice(0).forEach((work) => work());
  for (const message of ["a", { b: undefined }, "c"]) writer.send(message);
  expect(sent).toEqual([]);
  expect(writer.isDrained).toBe(false);
  endTurn();
  expect([sent.length, writer.isDrained]).toEqual([1, true]);
  writer.send("d");
  endTurn();
  const reader = new FrameReader();
  expect(sent.flatMap((bytes) => [...reader.take(bytes)])).toEqual([
    "a",
    { b: undefined },
    "c",
    "d",
  ]);
});

function afterTransfer(messages: readonly unknown[]): unknown[] {
  const sent: Uint8Array[] = [];
  const writer = new FrameWriter({ write: (bytes) => sent.push(bytes) && bytes.length });
  for (const message of messages) writer.send(message);
  const reader = new FrameReader();
  return sent.flatMap((bytes) => [...reader.take(bytes)]);
}
