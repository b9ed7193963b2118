import type { RoomState, SyncStatus } from "@pylonsync/sync";
import {
  fieldsOf,
  keyOf,
  observeSession,
  observeStatus,
  RoomStay,
  type RoomStayOptions,
  type SessionState,
} from "@pylonsync/sync/bindings";
import { useEngine } from "./engine.ts";
import { live, valueOf, type MaybeGetter } from "./live.ts";

/** The other members of a room, and functions to send to them. */
export type RoomResult = RoomState & Pick<RoomStay, "setPresence" | "broadcast">;

/**
 * The current session. It also follows sign-ins and sign-outs in other tabs.
 *
 * @example
 * const session = useSession();
 * const name = () => (session.isLoaded ? session.userId : null);
 */
export function useSession(): SessionState {
  const sync = useEngine();
  const { first, current } = live(
    () => "",
    () => observeSession(sync),
  );
  return fieldsOf(first, current);
}

/**
 * The state of the engine: connection, readiness, pending writes.
 *
 * @example
 * const status = useStatus();
 * const unsaved = () => status.pending > 0;
 */
export function useStatus(): SyncStatus {
  const sync = useEngine();
  const { first, current } = live(
    () => "",
    () => observeStatus(sync),
  );
  return fieldsOf(first, current);
}

/**
 * Joins a room while the component is mounted.
 *
 * @param userId the signed-in user's id, who is excluded from `peers`
 * @example
 * const room = useRoom("document-1", userId);
 * const move = (cursor: number) => void room.setPresence({ cursor });
 */
export function useRoom(
  room: MaybeGetter<string>,
  userId: MaybeGetter<string>,
  options: RoomStayOptions = {},
): RoomResult {
  const sync = useEngine();
  const read = (): [string, string] => [valueOf(room), valueOf(userId)];
  let stay = new RoomStay(sync, ...read(), options);
  const make = (): RoomStay => (stay = new RoomStay(sync, ...read(), options));
  const setPresence: RoomStay["setPresence"] = (data) => stay.setPresence(data);
  const broadcast: RoomStay["broadcast"] = (topic, data) => stay.broadcast(topic, data);
  const { first, current } = live(() => keyOf(read()), make);
  const actions = { setPresence, broadcast };
  return fieldsOf<RoomResult>({ ...first, ...actions }, () => ({ ...current(), ...actions }));
}
