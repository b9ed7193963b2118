import { expect, test } from "bun:test";
import { MAX_ROOMS_OF_GUESTS, PylonError } from "@pylonsync/protocol";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { GuestRooms } from "./guest-rooms.ts";
import { MemoryRoomStore } from "./memory/memory-room-store.ts";

interface Opened {
  readonly clock: ManualPlatform;
  readonly store: MemoryRoomStore;
  readonly guests: GuestRooms;
  join(network: string, guest: string, room: string): Promise<void>;
}

function open(): Opened {
  const clock = new ManualPlatform(0);
  const times = { idleMs: 1e9, graceMs: 1, handOverMs: 1, leaseMs: 1, sweepMs: 1e9 };
  const store = new MemoryRoomStore({ deliver: () => undefined, times, platform: clock });
  const guests = new GuestRooms(store, clock.monotonic);
  const join = async (network: string, guest: string, room: string): Promise<void> => {
    await guests.join(network, guest, room, () => store.join(room, guest, null));
  };
  return { clock, store, guests, join };
}

async function fill({ join }: Opened): Promise<void> {
  for (let n = 0; n < MAX_ROOMS_OF_GUESTS; n += 1) await join("net", `g${n % 50}`, `r${n}`);
}

test("the guests of one network share a maximum of rooms, and others have their own", async () => {
  const opened = open();
  await fill(opened);
  expect(opened.join("net", "new", "one more")).rejects.toThrow(PylonError);
  await opened.join("net", "new", "r0");
  await opened.join("other net", "g", "one more");
});

test("a guest that leaves makes room, whether it says so or not", async () => {
  const opened = open();
  await fill(opened);
  await opened.store.leave("r0", "g0");
  opened.guests.leave("net", "g0", "r0");
  await opened.join("net", "g0", "again");
  // That this guest has left is checked only when there seem to be too many rooms.
  await opened.store.leave("r1", "g1");
  await opened.join("net", "new", "after");
  await opened.store.leave("r2", "g2");
  expect(opened.join("net", "new", "too soon")).rejects.toThrow(PylonError);
  opened.clock.advance(1_000);
  await opened.join("net", "new", "later");
});

test("guests that left without a call are forgotten, however many come", async () => {
  const opened = open();
  let most = 0;
  for (let n = 0; n < 2_000; n += 1) {
    await opened.join("net", `g${n}`, "lobby");
    if (n >= 10) await opened.store.leave("lobby", `g${n}`);
    most = Math.max(most, opened.guests.remembered("net"));
  }
  expect(most).toBeLessThan(250);
  expect(opened.guests.remembered("net")).toBeGreaterThanOrEqual(10);
});

test("a look-up forgets no guest that is about to join", async () => {
  const opened = open();
  const { promise, resolve } = Promise.withResolvers<void>();
  const joins = Array.from({ length: MAX_ROOMS_OF_GUESTS }, (_, n) =>
    opened.guests.join("net", `g${n}`, `r${n}`, async () => {
      await promise;
      return opened.store.join(`r${n}`, `g${n}`, null);
    }),
  );
  // Looks for guests that left, while none of them is in the store yet.
  await expect(opened.join("net", "new", "one more")).rejects.toThrow(PylonError);
  resolve();
  await Promise.all(joins);
  expect(opened.guests.remembered("net")).toBe(MAX_ROOMS_OF_GUESTS);
});

test("a room that a guest could not join is not counted", async () => {
  const opened = open();
  const full = new PylonError("ROOM_LIMIT_REACHED", "full");
  const failing = opened.guests.join("net", "g", "r", () => Promise.reject(full));
  await expect(failing).rejects.toBe(full);
  expect(opened.guests.remembered("net")).toBe(0);
});
