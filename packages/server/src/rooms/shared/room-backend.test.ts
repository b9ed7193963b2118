import { expect, test } from "bun:test";
import { array, assert, constantFrom, option, property, record } from "fast-check";
import { channelOf, scriptsOf } from "../redis/scripts.ts";
import { ROOM_DDL, ROOM_REFUSALS, roomFunction } from "../postgres/functions.ts";
import type { TenantMessage } from "../room-store.ts";
import { dataOf, decode, encode, registrationOf, toBroadcastResult } from "./room-backend.ts";
import { anyText } from "../../../../../tests/support/any-text.ts";

const text = anyText();

test("a message to a tenant is decoded as it was encoded", () => {
  assert(
    property(
      record({
        tenantId: option(text),
        rooms: option(array(text)),
        userId: option(text),
        about: constantFrom("said", "gone"),
        text,
      }),
      (parts) => {
        const message: TenantMessage = { kind: "tenant", ...parts };
        expect(decode(encode(message))).toEqual(message);
      },
    ),
  );
});

test("a message of a room is decoded as scripts encode it, with the time as text or number", () => {
  for (const joined of ["12", 12])
    expect(decode(`${JSON.stringify(["join", "r", "u", "n", joined])}\n{"a":"\n"}`)).toEqual({
      kind: "join",
      room: "r",
      userId: "u",
      origin: "n",
      joinedAt: 12,
      text: '{"a":"\n"}',
    });
  expect(decode('["broadcast","r",""]\nx')).toMatchObject({ kind: "broadcast", joinedAt: 0 });
});

test("an older version's message to a tenant is for everyone in it", () => {
  expect(decode('["tenant",null]\nx')).toEqual({
    kind: "tenant",
    tenantId: null,
    rooms: null,
    userId: null,
    about: "said",
    text: "x",
  });
});

test("an unknown message is rejected", () => {
  for (const encoded of ["", "x", "{}\nx", '"join"\nx', '["other","r"]\nx', "[]\nx"])
    expect(() => decode(encoded)).toThrow();
  expect(() => toBroadcastResult(null)).toThrow();
  expect(toBroadcastResult("sent")).toBe("sent");
});

test("a member's data is null if the text has none", () => {
  expect(dataOf('{"data":[1]}')).toEqual([1]);
  expect([dataOf("{}"), dataOf('{"data":null}'), dataOf("[]"), dataOf("1")]).toEqual(
    Array.from({ length: 4 }, () => null),
  );
});

test("a member is registered for its remaining time, or for its grace", () => {
  const times = { idleMs: 1, graceMs: 5_000, handOverMs: 1, leaseMs: 1, sweepMs: 1 };
  const member = { room: "r", userId: "u", data: undefined, joinedAt: 3 };
  const stays = (dueAt: number | null): unknown =>
    registrationOf({ ...member, dueAt }, times, 1_000).at(-1);
  expect([stays(null), stays(3_000.4), stays(1_000), stays(1)]).toEqual([5_000, 2_000, 1, 1]);
  expect(registrationOf({ ...member, dueAt: null }, times, 0).slice(0, 3)).toEqual([
    "null",
    3,
    '{"type":"join","room":"r","user_id":"u"}',
  ]);
});

test("each script begins with the shared part, and publishes on its namespace's channel", () => {
  for (const script of scriptsOf("my:app").values()) {
    expect(script).toStartWith("local P = 'my:app:rooms:'\n");
    expect(script).toContain("local function publish(");
  }
  expect(channelOf("my:app")).toBe("my:app:rooms:events");
});

test("the functions of Postgres reject with known codes, and call only versioned functions", () => {
  const all = ROOM_DDL.join("\n");
  expect(new Set(all.match(/PYR\d\d/g))).toEqual(new Set(Object.values(ROOM_REFUSALS)));
  expect(all.match(/(?<![\w"])pylon_(room|channel)_\w+\(/g)).toBeNull();
  expect(roomFunction("join")).toMatch(/^"_pylon_room_join_[0-9a-f]{8}"$/);
  expect(() => roomFunction("other")).toThrow('There is no function "pylon_room_other".');
});
