import { MAX_ROOMS_OF_GUESTS, PylonError } from "@pylonsync/protocol";
import type { RoomStore } from "./room-store.ts";

/** The maximum number of cached addresses; the least recently used ones are evicted. */
const MAX_ADDRESSES = 10_000;
/**
 * The minimum time between two look-ups of the rooms of an address that seems to have too many, in
 * milliseconds.
 */
const REFRESH_MS = 1_000;

interface Guests {
  /** The rooms by guest. */
  rooms: Map<string, Set<string>>;
  refreshedAt: number;
}

/**
 * Limits the rooms that the guests of one address are in: creating guests costs nothing, so a limit
 * per guest would not prevent one visitor from taking all rooms.
 */
export class GuestRooms {
  readonly #store: RoomStore;
  readonly #now: () => number;
  readonly #byAddress = new Map<string, Guests>();

  /** @param now milliseconds, from any starting point */
  constructor(store: RoomStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Counts a room before a guest joins it.
   *
   * @throws PylonError ROOM_LIMIT_REACHED
   */
  async take(network: string, guest: string, room: string): Promise<void> {
    const guests = this.#of(network);
    if (!isIn(guests, room) && count(guests) >= MAX_ROOMS_OF_GUESTS) {
      await this.#refresh(guests);
      if (count(guests) >= MAX_ROOMS_OF_GUESTS) throw tooMany();
    }
    const own = guests.rooms.get(guest) ?? new Set();
    guests.rooms.set(guest, own.add(room));
  }

  leave(network: string, guest: string, room: string): void {
    const rooms = this.#byAddress.get(network)?.rooms;
    const own = rooms?.get(guest);
    own?.delete(room);
    if (own?.size === 0) rooms?.delete(guest);
  }

  #of(network: string): Guests {
    const guests = this.#byAddress.get(network) ?? { rooms: new Map(), refreshedAt: -Infinity };
    this.#byAddress.delete(network);
    this.#byAddress.set(network, guests);
    const [oldest] = this.#byAddress.keys();
    if (this.#byAddress.size > MAX_ADDRESSES && oldest !== undefined)
      this.#byAddress.delete(oldest);
    return guests;
  }

  /** Guests also leave without a call. */
  async #refresh(guests: Guests): Promise<void> {
    if (this.#now() - guests.refreshedAt < REFRESH_MS) return;
    guests.refreshedAt = this.#now();
    for (const guest of [...guests.rooms.keys()]) {
      const rooms = await this.#store.rooms(guest);
      if (rooms.length === 0) guests.rooms.delete(guest);
      else guests.rooms.set(guest, new Set(rooms.map(({ name }) => name)));
    }
  }
}

function isIn({ rooms }: Guests, room: string): boolean {
  return [...rooms.values()].some((own) => own.has(room));
}

function count({ rooms }: Guests): number {
  const all = new Set<string>();
  for (const own of rooms.values()) for (const room of own) all.add(room);
  return all.size;
}

function tooMany(): PylonError {
  return new PylonError(
    "ROOM_LIMIT_REACHED",
    `The guests at this IP address are already in ${MAX_ROOMS_OF_GUESTS} rooms.`,
    { field: "room", hint: "Leave a room first, or sign in." },
  );
}
