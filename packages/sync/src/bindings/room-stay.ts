import type { SyncEngine } from "../engine/engine.ts";
import type { Room, RoomBroadcast, RoomOptions, RoomState } from "../rooms/room.ts";
import type { Observable } from "./observable.ts";

/** The options of `RoomStay`. */
export interface RoomStayOptions extends RoomOptions {
  /** Called with each broadcast to the room. */
  readonly onBroadcast?: (message: RoomBroadcast) => void;
}

const OUTSIDE: RoomState = { peers: [], isConnected: false, error: null };

/**
 * The membership of a component in a room: it joins when the first listener subscribes and leaves
 * when the last one unsubscribes.
 *
 * @example
 * const stay = new RoomStay(engine, "document-1", userId);
 * const leave = stay.subscribe(() => render(stay.getSnapshot().peers));
 */
export class RoomStay implements Observable<RoomState> {
  readonly #join: () => Room;
  readonly #onBroadcast: (message: RoomBroadcast) => void;
  #room: Room | null = null;
  #listeners = 0;

  /** @param userId the signed-in user's id, who is excluded from the peers */
  constructor(sync: SyncEngine, room: string, userId: string, options: RoomStayOptions = {}) {
    const { onBroadcast = () => undefined, ...own } = options;
    this.#join = () => sync.rooms.join(room, userId, own);
    this.#onBroadcast = onBroadcast;
  }

  getSnapshot(): RoomState {
    return this.#room?.state ?? OUTSIDE;
  }

  subscribe(listener: () => void): () => void {
    const room = this.#enter();
    this.#listeners += 1;
    const unsubscribe = room.onChange(() => listener());
    let isStopped = false;
    return () => {
      if (isStopped) return;
      isStopped = true;
      unsubscribe();
      this.#listeners -= 1;
      if (this.#listeners > 0) return;
      this.#room = null;
      void room.leave();
    };
  }

  /** Changes this user's presence. @throws PylonClientError */
  readonly setPresence = async (data: unknown): Promise<void> => this.#room?.setPresence(data);
  /** Broadcasts to all members of the room. @throws PylonClientError */
  readonly broadcast = async (topic: string, data?: unknown): Promise<void> =>
    this.#room?.broadcast(topic, data);

  #enter(): Room {
    if (this.#room !== null) return this.#room;
    const room = this.#join();
    room.onBroadcast(this.#onBroadcast);
    this.#room = room;
    return room;
  }
}
