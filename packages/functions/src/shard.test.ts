import { expect, test } from "bun:test";
import { shard, v } from "./index.ts";

/** As an app in JavaScript would write it. */
const define: (options: object) => unknown = (options) => shard(Object(options));
const least = { input: v.any(), init: () => ({}), view: () => null };
const near = { fields: ["ships"], cellSize: 10, center: () => null };

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

test("the types of interest follow from the view and the fields that it names", () => {
  shard({
    input: v.any(),
    init: () => ({ ships: { a: { x: 0, y: 0, size: 1 } }, left: 5 }),
    view: ({ ships, left }) => ({ ships, round: { left } }),
    interest: {
      fields: ["ships"],
      cellSize: 10,
      center: ({ ships }) => ships.a,
      priority: ({ size }, _id, player) => (player.isGuest ? size : 1),
    },
  });
});

test("an error is reported when the file is loaded", () => {
  expect(define(least)).toMatchObject({ type: "shard" });
  for (const [options, message] of [
    [{ ...least, tickrate: 20 }, 'A shard has no option "tickrate"'],
    [{ ...least, input: { dx: 1 } }, "input must be a validator"],
    [{ ...least, input: null }, "input must be a validator"],
    [{ ...least, init: {} }, "init must be a function"],
    [{ ...least, onJoin: true }, "onJoin must be a function."],
    [{ ...least, view: undefined }, "must have either view or viewFor"],
    [{ ...least, viewFor: () => 1 }, "must have either view or viewFor"],
    [{ ...least, tickRate: 61 }, "tickRate must be a whole number from 0 to 60."],
    [{ ...least, maxPlayers: 0 }, "maxPlayers must be a whole number from 1 to 1000."],
    [{ ...least, idleSeconds: 1.5 }, "idleSeconds must be a whole number"],
    [{ ...least, graceSeconds: -1 }, "graceSeconds must be a whole number from 0 to 3600."],
    [{ ...least, instances: 1 }, "instances must be true or false."],
    [{ ...least, isolate: "yes" }, "isolate must be true or false."],
    [{ ...least, inviteOnly: 1 }, "inviteOnly must be true or false."],
    [{ ...least, maxSpectators: 1001 }, "maxSpectators must be a whole number from 0 to 1000."],
    [{ ...least, match: { minPlayers: 2 } }, "requires instances: true"],
    [{ ...least, instances: true, match: {} }, "match.minPlayers is required"],
    [{ ...least, instances: true, match: { minPlayers: 0 } }, "from 1 to 1000"],
    [{ ...least, instances: true, match: { minPlayers: 2, size: 4 } }, 'no option "size"'],
    [{ ...least, instances: true, match: { minPlayers: 65 } }, "and the maxPlayers of the shard"],
    [{ ...least, instances: true, match: { minPlayers: 2, modes: [] } }, "list of names"],
    [
      { ...least, view: undefined, viewFor: () => 1, maxSpectators: 1 },
      "requires viewForSpectators",
    ],
    [{ ...least, interest: near, maxSpectators: 1 }, "requires viewForSpectators"],
    [
      { ...least, history: { ms: 0, keep: () => 1 } },
      "history.ms must be a number from 1 to 1000.",
    ],
    [{ ...least, history: { ms: 1 } }, "history.keep must be a function"],
    [{ ...least, history: { ms: 1, keep: () => 1, of: 1 } }, 'history has no option "of"'],
    [{ ...least, history: { ms: 1, keep: () => 1 }, tickRate: 0 }, "a tickRate above 0"],
    [{ ...least, sendRate: 61 }, "sendRate must be a whole number from 1 to 60."],
    [{ ...least, sendRate: 5, tickRate: 0 }, "a tickRate above 0"],
    [{ ...least, view: undefined, viewFor: () => 1, interest: near }, "requires view"],
    [{ ...least, interest: { ...near, radius: 1 } }, 'no option "radius"'],
    [{ ...least, interest: { ...near, fields: [] } }, "a list of 1 to 16 fields"],
    [{ ...least, interest: { ...near, fields: ["a", "a"] } }, "a list of 1 to 16 fields"],
    [{ ...least, interest: { ...near, cellSize: 0 } }, "cellSize must be a number above 0"],
    [{ ...least, interest: { ...near, radiusCells: 9 } }, "from 0 to 8"],
    [{ ...least, interest: { ...near, bytesPerSecond: 10 } }, "bytesPerSecond must be at least"],
    [{ ...least, interest: { ...near, center: { x: 0, y: 0 } } }, "center must be a function"],
    [{ ...least, interest: { ...near, priority: 1 } }, "interest.priority must be a function."],
  ] as const)
    expect(() => define(options)).toThrow(message);
});
