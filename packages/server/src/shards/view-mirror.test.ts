import { expect, test } from "bun:test";
import { applyShardDelta, SlotFrames, SlotReader } from "@pylonsync/protocol";
import fc from "fast-check";
import { ViewMirror } from "./view-mirror.ts";

/** As it reaches a client. */
function sent<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** A client that has the view, by whichever form each change is sent in. */
class Client {
  view: unknown;
  compact = 0;
  #slots: SlotReader | null = null;

  take(change: ReturnType<ViewMirror["update"]>): void {
    if (change === null) return;
    if ("delta" in change) {
      this.view = applyShardDelta(this.view, sent(change.delta));
      this.#slots = null;
      return;
    }
    this.compact += 1;
    const frame = new SlotFrames(change.slots).frame(7, 5, 0);
    this.#slots ??= new SlotReader(this.view);
    const { delta, ...head } = this.#slots.read(Uint8Array.from(frame).buffer);
    expect(head).toEqual({ tick: 7, base: 5, ack: 0 });
    this.view = applyShardDelta(this.view, delta);
  }
}

const scalar = fc.oneof(
  fc.constantFrom(null, true, "", "é☃", undefined, Number.NaN, -0, 0.5, 1e300, 2 ** 53 - 1),
  fc.integer({ min: -200, max: 200 }),
  fc.integer(),
  fc.double(),
);
/** Views that have much in common with each other, as those of two steps have. */
const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__", "toString", "0"), tie("node"), {
      maxKeys: 4,
    }),
  ),
})).node;

test("a client that applies every change has what the server shows", () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 12 }), (views) => {
      const [mirror, client] = [new ViewMirror(), new Client()];
      for (const view of views) {
        client.take(mirror.update(view));
        expect(client.view).toStrictEqual(sent(view ?? null) as never);
        expect(sent(mirror.value)).toStrictEqual(client.view as never);
      }
      expect(mirror.update(views.at(-1))).toBeNull();
    }),
    { numRuns: 2000 },
  );
});

test("so it is where only scalars change, which is sent in the compact form", () => {
  const move = fc.record({ at: fc.nat({ max: 30 }), to: scalar.filter((to) => to !== undefined) });
  let compact = 0;
  fc.assert(
    fc.property(fc.array(move, { minLength: 3, maxLength: 40 }), (moves) => {
      const [mirror, client] = [new ViewMirror(), new Client()];
      const rows = Array.from({ length: 6 }, (_, id) => ({ id, x: 0, y: 0.5, on: [id, null] }));
      const view = { b: rows, a: { "10": 1, "9": 2 }, toString: "x" };
      mirror.update(view);
      client.take({ delta: [sent(view)] });
      for (const { at, to } of moves) {
        const row = rows[at % 6];
        if (row === undefined) continue;
        if (at < 12) Object.assign(row, { x: to });
        else if (at < 24) row.on[at % 2] = to as never;
        else view.a["9"] = to as never;
        client.take(mirror.update(view));
        expect(client.view).toStrictEqual(sent(view) as never);
      }
      ({ compact } = client);
    }),
    { numRuns: 300 },
  );
  expect(compact).toBeGreaterThan(0);
});

test("a player who moves by a little takes two bytes for each coordinate", () => {
  const mirror = new ViewMirror();
  const players = Array.from({ length: 50 }, (_, id) => ({ id: `user-${id}`, x: 500, y: 500 }));
  mirror.update({ players });
  mirror.update({ players });
  for (const player of players) [player.x, player.y] = [player.x + 7, player.y - 63];
  const change = mirror.update({ players });
  if (change === null || !("slots" in change)) throw new Error("It is not in the compact form.");
  const headBytes = 4;
  expect(new SlotFrames(change.slots).frame(1, 0, null).length).toBe(headBytes + 50 * 2 * 2);
});

test("the delta has what changed alone, and a removed key is not one that became null", () => {
  const mirror = new ViewMirror();
  const state: Record<string, unknown> = { a: { x: 1, y: 1 }, b: [1, 2, 3], c: "gone", d: 1 };
  mirror.update(state);
  state["a"] = { x: 2, y: 1 };
  state["b"] = [1, 5];
  delete state["c"];
  state["d"] = null;
  expect(sent(mirror.update(state))).toEqual({
    delta: {
      s: { a: { s: { x: [2] } }, b: { s: { 1: [5] }, n: 2 }, d: [null] },
      r: ["c"],
    },
  });
});

test("what JSON can't say is refused", () => {
  const mirror = new ViewMirror();
  expect(() => mirror.update({ n: 1n })).toThrow("BigInt");
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  expect(() => new ViewMirror().update(cycle)).toThrow("deeper than 64");
});

test("a change of another view is refused", () => {
  expect(() => applyShardDelta(1, { s: { a: [1] } })).toThrow("Not a delta");
  expect(() => applyShardDelta([1], { s: { 5: [1] } })).toThrow("Not a delta");
  expect(() => applyShardDelta([1], { n: 3 })).toThrow("Not a delta");
  const changes = { count: 1, slots: [3], before: [1], after: [2] };
  const frame = new SlotFrames(changes).frame(1, 0, null);
  for (const bytes of [frame, frame.subarray(0, -1), Uint8Array.of(1), Uint8Array.of(1, 255)])
    expect(() => new SlotReader([1, 2]).read(Uint8Array.from(bytes).buffer)).toThrow(TypeError);
});

test("frames of one step differ in their heads alone, and equal ones are written once", () => {
  const changes = { count: 1, slots: [0], before: [1], after: [300] };
  const frames = new SlotFrames(changes);
  const heads = [
    { tick: 200_000, base: 199_999, ack: null },
    { tick: 200_000, base: 199_000, ack: 2 ** 40 },
    { tick: 200_000, base: 199_999, ack: 5 },
    { tick: 200_000, base: 199_999, ack: 6 },
    { tick: 7, base: 0, ack: 6 },
  ];
  for (const head of heads) {
    const frame = frames.frame(head.tick, head.base, head.ack);
    const read = new SlotReader({ n: 1 }).read(Uint8Array.from(frame).buffer);
    expect(read).toEqual({ ...head, delta: { s: { n: [300] } } });
    expect(frames.frame(head.tick, head.base, head.ack)).toBe(frame);
  }
});
