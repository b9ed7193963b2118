import { expect, test } from "bun:test";
import { MAX_ROOMS_OF_USER, PylonError } from "@pylonsync/protocol";
import { ManualPlatform } from "../../testing/manual-platform.ts";
import { disconnectMessage } from "../messages.ts";
import type { RoomTimes } from "../room-store.ts";
import { MemoryRoomStore } from "./memory-room-store.ts";
import { RoomTable } from "./room-table.ts";

const TIMES: RoomTimes = { idleMs: 100_000, graceMs: 5_000, handOverMs: 0, leaseMs: 0, sweepMs: 0 };
const will = disconnectMessage("t", "u", 1);

function open(): { readonly table: RoomTable; readonly clock: ManualPlatform } {
  const clock = new ManualPlatform(1_000_000);
  return { table: new RoomTable(TIMES, clock), clock };
}

const roomsOf = (table: RoomTable, user: string): string[] =>
  table
    .membershipsOf(user)
    .map(({ room }) => room)
    .toSorted();

test("a member without a connection expires after its idle time, which each call restarts", () => {
  const { table, clock } = open();
  table.join("r", "u", null);
  clock.advance(99_999);
  expect(table.sweep()).toEqual([]);
  const member = table.find("r", "u");
  if (member !== undefined) table.touch(member);
  clock.advance(99_999);
  expect(table.sweep()).toEqual([]);
  clock.advance(1);
  expect(table.sweep().map(({ room }) => room)).toEqual(["r"]);
  expect(table.isEmpty).toBe(true);
  expect(table.sizes(null)).toEqual([]);
});

test("setting the machine's clock does not change how long a member stays", () => {
  const clock = new ManualPlatform(1_000_000);
  let aheadMs = 0;
  const now = (): number => clock.now() + aheadMs;
  const table = new RoomTable(TIMES, { now, monotonic: clock.monotonic });
  table.join("r", "calls", null);
  table.connect("u", will);
  table.join("r", "u", null);
  table.disconnect("u");
  aheadMs = 3_600_000;
  expect(table.sweep()).toEqual([]);
  aheadMs = -3_600_000;
  clock.advance(TIMES.idleMs);
  expect(table.sweep().map(({ userId }) => userId)).toEqual(["calls", "u"]);
});

test("a connected member stays, then for its grace, unless it calls or connects again", () => {
  const { table, clock } = open();
  table.connect("u", will);
  for (const room of ["goes", "called"]) table.join(room, "u", null);
  clock.advance(1_000_000);
  expect(table.sweep()).toEqual([]);
  table.disconnect("u");
  clock.advance(4_999);
  table.connect("u", will);
  clock.advance(5_000);
  expect(table.sweep()).toEqual([]);
  table.disconnect("u");
  const called = table.find("called", "u");
  if (called !== undefined) table.touch(called);
  clock.advance(5_000);
  expect(table.sweep().map(({ room }) => room)).toEqual(["goes"]);
  expect(roomsOf(table, "u")).toEqual(["called"]);
  clock.advance(95_000);
  expect(table.sweep().map(({ room }) => room)).toEqual(["called"]);
});

test("joining again keeps the time and replaces the data", () => {
  const { table, clock } = open();
  expect(table.join("r", "u", 1)).toEqual([]);
  clock.advance(10_000);
  expect(table.join("r", "u", 2)).toEqual([
    { user_id: "u", data: 1, joined_at: "1970-01-01T00:16:40.000Z" },
  ]);
  expect(table.peers("r")).toEqual([
    { user_id: "u", data: 2, joined_at: "1970-01-01T00:16:40.000Z" },
  ]);
});

test("a user is in a maximum number of rooms, and may join one of them again", () => {
  const { table } = open();
  for (let n = 0; n < MAX_ROOMS_OF_USER; n += 1) table.join(`r${n}`, "u", null);
  expect(() => table.join("one more", "u", null)).toThrow(PylonError);
  expect(table.join("r0", "u", null)).toHaveLength(1);
  expect(table.sizes("u")).toHaveLength(MAX_ROOMS_OF_USER);
});

test("only connected members receive the messages of their room", () => {
  const { table } = open();
  table.connect("here", will);
  for (const user of ["here", "away"]) table.join("r", user, null);
  expect([...table.connectedMembers("r")]).toEqual(["here"]);
  expect(table.remove("r", "here")).toBe(true);
  expect(table.remove("r", "here")).toBe(false);
  expect([...table.connectedMembers("r")]).toEqual([]);
});

test("a store sweeps once a second, reports the removed members, and stops", async () => {
  const clock = new ManualPlatform(0);
  const told: string[] = [];
  const store = new MemoryRoomStore({
    deliver: ({ text }) => told.push(text),
    times: TIMES,
    platform: clock,
  });
  await store.start();
  await store.join("r", "u", null);
  told.length = 0;
  clock.advance(99_000);
  expect(told).toEqual([]);
  clock.advance(1_000);
  expect(told).toEqual(['{"type":"leave","room":"r","user_id":"u"}']);
  await store.stop();
  expect(clock.timers).toBe(0);
});
