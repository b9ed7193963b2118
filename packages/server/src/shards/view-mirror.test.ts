import { expect, test } from "bun:test";
import { applyShardDelta, type ShardDelta } from "@pylonsync/protocol";
import fc from "fast-check";
import { ViewMirror } from "./view-mirror.ts";

/** As it reaches a client. */
function sent<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** Views that have much in common with each other, as those of two steps have. */
const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, 0, -0, 1, 2.5, "", "a", undefined, Number.NaN),
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__", "0"), tie("node"), { maxKeys: 4 }),
  ),
})).node;

test("a client that applies every delta has what the server shows", () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 12 }), (views) => {
      const mirror = new ViewMirror();
      let client: unknown;
      for (const view of views) {
        const before = JSON.stringify(mirror.value);
        const delta = mirror.update(view);
        if (delta !== null) client = applyShardDelta(client, sent(delta));
        expect(client).toStrictEqual(sent(view ?? null) as never);
        expect(sent(mirror.value)).toStrictEqual(client as never);
        if (delta === null) expect(JSON.stringify(mirror.value)).toBe(before);
      }
      expect(mirror.update(views.at(-1))).toBeNull();
    }),
    { numRuns: 2000 },
  );
});

test("the delta has what changed alone, and a removed key is not one that became null", () => {
  const mirror = new ViewMirror();
  const state: Record<string, unknown> = { a: { x: 1, y: 1 }, b: [1, 2, 3], c: "gone", d: 1 };
  mirror.update(state);
  state["a"] = { x: 2, y: 1 };
  state["b"] = [1, 5];
  delete state["c"];
  state["d"] = null;
  const delta: ShardDelta | null = mirror.update(state);
  expect(sent(delta)).toEqual({
    s: { a: { s: { x: [2] } }, b: { s: { 1: [5] }, n: 2 }, d: [null] },
    r: ["c"],
  });
});

test("a state that is changed in place is seen as changed", () => {
  const mirror = new ViewMirror();
  const state = { players: [{ x: 0 }] };
  mirror.update(state);
  for (const player of state.players) player.x = 3;
  expect(sent(mirror.update(state))).toEqual({ s: { players: { s: { 0: { s: { x: [3] } } } } } });
});

test("what JSON can't say is refused", () => {
  const mirror = new ViewMirror();
  expect(() => mirror.update({ n: 1n })).toThrow("BigInt");
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  expect(() => new ViewMirror().update(cycle)).toThrow("deeper than 64");
});

test("a delta of another view is refused", () => {
  expect(() => applyShardDelta(1, { s: { a: [1] } })).toThrow("Not a delta");
  expect(() => applyShardDelta([1], { s: { 5: [1] } })).toThrow("Not a delta");
  expect(() => applyShardDelta([1], { n: 3 })).toThrow("Not a delta");
});
