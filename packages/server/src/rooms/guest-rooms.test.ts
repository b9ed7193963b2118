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
    await guests.take(network, guest, room);
    await store.join(room, guest, null);
  };
  return { clock, store, guests, join };
}

async function fill({ join }: Opened): Promise<void> {
  for (let n = 0; n < MAX_ROOMS_OF_GUESTS; n += 1) await join("net", `g${n}`, `r${n}`);
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
