import { expect, test } from "bun:test";
import { applyShardDelta, SlotFrames, SlotReader } from "@pylonsync/protocol";
import fc from "fast-check";
import { ViewMirror } from "./view-mirror.ts";

/** As it reaches a client. */
function sent<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** The frames of one change. */
function framesOf(slot: number, before: unknown, after: unknown): SlotFrames {
  const frames = new SlotFrames();
  frames.add(slot, before, after);
  return frames;
}

/** A client that has the view, by whichever form each change is sent in. */
class Client {
  readonly frames = new SlotFrames();
  view: unknown;
  compact = 0;
  #slots: SlotReader | null = null;

  take(change: ReturnType<ViewMirror["update"]>): void {
    if (change === null) return;
    if (change !== "frames") {
      this.view = applyShardDelta(this.view, sent(change.delta));
      this.#slots = null;
      return;
    }
    this.compact += 1;
    const frame = this.frames.frame(7, 5, 0);
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
      const client = new Client();
      const mirror = new ViewMirror(client.frames);
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
      const client = new Client();
      const mirror = new ViewMirror(client.frames);
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
  const frames = new SlotFrames();
  const mirror = new ViewMirror(frames);
  const players = Array.from({ length: 50 }, (_, id) => ({ id: `user-${id}`, x: 500, y: 500 }));
  mirror.update({ players });
  mirror.update({ players });
  for (const player of players) [player.x, player.y] = [player.x + 7, player.y - 63];
  expect(mirror.update({ players })).toBe("frames");
  const headBytes = 4;
  expect(frames.frame(1, 0, null).length).toBe(headBytes + 50 * 2 * 2);
});

test("a full view has the scalars of the last update, which only frames have told of", () => {
  const mirror = new ViewMirror(new SlotFrames());
  const first = { x: 1, on: [1, null], name: { first: "n" } };
  const rows = [first, ...[2, 3].map((x) => ({ x, on: [x, null], name: { first: `n${x}` } }))];
  const view = { rows, left: 3, one: first };
  mirror.update(view);
  mirror.update(view);
  for (let step = 1; step <= 3; step += 1) {
    for (const row of rows) [row.x, row.on[0]] = [row.x + step, -step];
    view.left -= 1;
    expect(mirror.update(view)).toBe("frames");
    if (step !== 2) expect(sent(mirror.value)).toEqual(sent(view));
  }
  // A view of another shape is compared with the newest scalars, too.
  const next = { ...view, rows: rows.slice(0, 2), left: 9 };
  first.x = 70;
  const change = mirror.update(next);
  expect(change).toMatchObject({ delta: { s: { left: [9] } } });
  expect(sent(mirror.value)).toEqual(sent(next));
});

test("frames are valid for every length, and after a step with many changes", () => {
  const frames = new SlotFrames();
  const before = Array.from({ length: 9000 }, (_, slot) => slot);
  for (const count of [1, 200, 9000, 3, 3, 200, 9000, 1]) {
    frames.begin();
    const after = before.map((value, slot) => (slot < count ? value + 0.1 : value));
    for (let slot = 0; slot < count; slot += 1) frames.add(slot, before[slot], after[slot]);
    for (const ack of [null, 5, 2 ** 40]) {
      const frame = frames.frame(2, 1, ack);
      const read = new SlotReader(before).read(Uint8Array.from(frame).buffer);
      expect(read.ack).toBe(ack);
      expect(applyShardDelta(before, read.delta)).toEqual(after);
    }
  }
});

test("a change that a getter takes back is a change without content, not old frames", () => {
  const mirror = new ViewMirror(new SlotFrames());
  const reads: number[] = [];
  const viewWith = (c: object): object => ({
    ...{ c },
    get b() {
      return reads.shift() ?? 0;
    },
  });
  mirror.update(viewWith({ x: 1 }));
  mirror.update(viewWith({ x: 1 }));
  reads.push(7);
  expect(mirror.update(viewWith({ x: 1, absent: undefined }))).toEqual({ delta: {} });
  expect(mirror.update(viewWith({ x: 1, absent: undefined }))).toBeNull();
});

test("the delta has what changed alone, and a removed key is not one that became null", () => {
  const mirror = new ViewMirror(null);
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
  const mirror = new ViewMirror(null);
  expect(() => mirror.update({ n: 1n })).toThrow("BigInt");
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  expect(() => new ViewMirror(null).update(cycle)).toThrow("deeper than 64");
});

test("a change of another view is refused", () => {
  expect(() => applyShardDelta(1, { s: { a: [1] } })).toThrow("Not a delta");
  expect(() => applyShardDelta([1], { s: { 5: [1] } })).toThrow("Not a delta");
  expect(() => applyShardDelta([1], { n: 3 })).toThrow("Not a delta");
  const frame = framesOf(3, 1, 2).frame(1, 0, null);
  for (const bytes of [frame, frame.subarray(0, -1), Uint8Array.of(1), Uint8Array.of(1, 255)])
    expect(() => new SlotReader([1, 2]).read(Uint8Array.from(bytes).buffer)).toThrow(TypeError);
});

test("frames of one step differ in their heads alone, and equal ones are written once", () => {
  const frames = framesOf(0, 1, 300);
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
