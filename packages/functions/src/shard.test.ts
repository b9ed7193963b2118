import { expect, test } from "bun:test";
import { shard, v } from "./index.ts";

/** As an app in JavaScript would write it. */
const define: (options: object) => unknown = (options) => shard(Object(options));
const least = { input: v.any(), init: () => ({}), view: () => null };

test("the handlers' types follow from init and input", () => {
  const arena = shard({
    input: v.object({ dx: v.int() }),
    init: () => ({ x: 0 }),
    onInput: (state, _player, { dx }) => {
      state.x += dx;
    },
    view: ({ x }) => ({ x }),
  });
  const input: NonNullable<typeof arena.__types>["input"] = { dx: 1 };
  const view: NonNullable<typeof arena.__types>["view"] = { x: input.dx };
  expect([arena.type, view]).toEqual(["shard", { x: 1 }]);
});

test("a mistake is said when the file is loaded", () => {
  expect(define(least)).toMatchObject({ type: "shard" });
  for (const [options, message] of [
    [{ ...least, tickrate: 20 }, 'A shard has no option "tickrate"'],
    [{ ...least, input: { dx: 1 } }, "input is a validator"],
    [{ ...least, input: null }, "input is a validator"],
    [{ ...least, init: {} }, "init is a function"],
    [{ ...least, onJoin: true }, "onJoin is a function."],
    [{ ...least, view: undefined }, "by either view or viewFor"],
    [{ ...least, viewFor: () => 1 }, "by either view or viewFor"],
    [{ ...least, tickRate: 61 }, "tickRate is a whole number from 0 to 60."],
    [{ ...least, maxPlayers: 0 }, "maxPlayers is a whole number from 1 to 1000."],
    [{ ...least, idleSeconds: 1.5 }, "idleSeconds is a whole number"],
    [{ ...least, graceSeconds: -1 }, "graceSeconds is a whole number from 0 to 3600."],
    [{ ...least, instances: 1 }, "instances is true or false."],
  ] as const)
    expect(() => define(options)).toThrow(message);
});
