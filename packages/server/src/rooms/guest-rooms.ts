import { MAX_ROOMS_OF_GUESTS, PylonError } from "@pylonsync/protocol";
import type { RoomStore } from "./room-store.ts";

/** The maximum number of cached addresses; the least recently used ones are evicted. */
const MAX_ADDRESSES = 10_000;
/**
 * The minimum time between two look-ups of the rooms of an address that seems to have too many, in
 * milliseconds.
 */
const REFRESH_MS = 1_000;
/** The number of guests of an address at which those that left are looked for the first time. */
const MIN_GUESTS_TO_REFRESH = 100;

/**
 * Limits the rooms that the guests of one address are in: creating guests costs nothing, so a limit
 * per guest would not prevent one visitor from taking all rooms.
 */
export class GuestRooms {
  readonly #store: RoomStore;
  readonly #now: () => number;
  readonly #byAddress = new Map<string, AddressRooms>();

  /** @param now milliseconds, from any starting point */
  constructor(store: RoomStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Runs `join`, which lets a guest into a room, and counts the room.
   *
   * @throws PylonError ROOM_LIMIT_REACHED; what `join` throws
   */
  async join<T>(network: string, guest: string, room: string, join: () => Promise<T>): Promise<T> {
    const rooms = this.#of(network);
    await rooms.refreshGrown(this.#store);
    if (rooms.isFullFor(room)) {
      await rooms.refreshFull(this.#store, this.#now());
      if (rooms.isFullFor(room)) throw tooMany();
    }
    return rooms.join(guest, room, join);
  }

  leave(network: string, guest: string, room: string): void {
    this.#byAddress.get(network)?.delete(guest, room);
  }

  /** The number of guests that are remembered for an address. */
  remembered(network: string): number {
    return this.#byAddress.get(network)?.guests ?? 0;
  }

  #of(network: string): AddressRooms {
    const rooms = this.#byAddress.get(network) ?? new AddressRooms();
    this.#byAddress.delete(network);
    this.#byAddress.set(network, rooms);
    const [oldest] = this.#byAddress.keys();
    if (this.#byAddress.size > MAX_ADDRESSES && oldest !== undefined)
      this.#byAddress.delete(oldest);
    return rooms;
  }
}

interface Guest {
  readonly rooms: Set<string>;
  /** The numbers of joins that began, and that are over. */
  began: number;
  ended: number;
}

/** The rooms that the guests of one address joined, and may have left without a call. */
class AddressRooms {
  readonly #guests = new Map<string, Guest>();
  /** The number of guests in each room. */
  readonly #sizes = new Map<string, number>();
  #refreshedAt = -Infinity;
  /** The number of guests at which those that left are looked for. */
  #refreshAt = MIN_GUESTS_TO_REFRESH;

  get guests(): number {
    return this.#guests.size;
  }

  isFullFor(room: string): boolean {
    return !this.#sizes.has(room) && this.#sizes.size >= MAX_ROOMS_OF_GUESTS;
  }

  async join<T>(id: string, room: string, join: () => Promise<T>): Promise<T> {
    const guest = this.#guests.get(id) ?? { rooms: new Set(), began: 0, ended: 0 };
    this.#guests.set(id, guest);
    const isNew = !guest.rooms.has(room);
    if (isNew) this.#add(guest, room);
    guest.began += 1;
    try {
      return await join();
    } catch (error) {
      if (isNew) this.delete(id, room);
      throw error;
    } finally {
      guest.ended += 1;
    }
  }

  delete(id: string, room: string): void {
    const guest = this.#guests.get(id);
    if (guest?.rooms.delete(room) !== true) return;
    if (guest.rooms.size === 0) this.#guests.delete(id);
    const left = (this.#sizes.get(room) ?? 1) - 1;
    if (left === 0) this.#sizes.delete(room);
    else this.#sizes.set(room, left);
  }

  /** Forgets the guests that left, at most once in REFRESH_MS. */
  async refreshFull(store: RoomStore, now: number): Promise<void> {
    if (now - this.#refreshedAt < REFRESH_MS) return;
    this.#refreshedAt = now;
    await this.#refresh(store);
  }

  /** Forgets the guests that left if the number of guests has doubled, so that it is bounded. */
  async refreshGrown(store: RoomStore): Promise<void> {
    if (this.guests < this.#refreshAt) return;
    // Guests that join in the meantime do not start another look-up.
    this.#refreshAt = Infinity;
    try {
      await this.#refresh(store);
    } finally {
      this.#refreshAt = Math.max(2 * this.guests, MIN_GUESTS_TO_REFRESH);
    }
  }

  async #refresh(store: RoomStore): Promise<void> {
    for (const [id, guest] of [...this.#guests]) {
      const { began, ended } = guest;
      const counted = [...guest.rooms];
      const current = new Set((await store.rooms(id)).map(({ name }) => name));
      // The store may not have known of a join that was under way.
      if (began !== ended || guest.began !== began) continue;
      for (const room of counted) if (!current.has(room)) this.delete(id, room);
    }
  }

  #add(guest: Guest, room: string): void {
    guest.rooms.add(room);
    this.#sizes.set(room, (this.#sizes.get(room) ?? 0) + 1);
  }
}

function tooMany(): PylonError {
  return new PylonError(
    "ROOM_LIMIT_REACHED",
    `The guests at this IP address are already in ${MAX_ROOMS_OF_GUESTS} rooms.`,
    { field: "room", hint: "Leave a room first, or sign in." },
  );
}
