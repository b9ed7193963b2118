import type { RoomState, SyncStatus } from "@pylonsync/sync";
import {
  keyOf,
  observeSession,
  observeStatus,
  RoomStay,
  type RoomStayOptions,
  type SessionState,
} from "@pylonsync/sync/bindings";
import { toValue, type MaybeRefOrGetter } from "vue";
import { useEngine } from "./engine.ts";
import { live, refsOf, type Refs } from "./live.ts";

/** The other members of a room, and functions to send to them. */
export type RoomResult = Refs<RoomState> & Pick<RoomStay, "setPresence" | "broadcast">;

/**
 * The current session. It also follows sign-ins and sign-outs in other tabs.
 *
 * @example
 * const { isLoaded, userId } = useSession();
 */
export function useSession(): Refs<SessionState> {
  const sync = useEngine();
  return refsOf(
    live(
      () => "",
      () => observeSession(sync),
    ),
  );
}

/**
 * The state of the engine: connection, readiness, pending writes.
 *
 * @example
 * const { pending } = useStatus();
 */
export function useStatus(): Refs<SyncStatus> {
  const sync = useEngine();
  return refsOf(
    live(
      () => "",
      () => observeStatus(sync),
    ),
  );
}

/**
 * Joins a room while the component is mounted.
 *
 * @param userId the signed-in user's id, who is excluded from `peers`
 * @example
 * const { peers, setPresence } = useRoom("document-1", userId);
 */
export function useRoom(
  room: MaybeRefOrGetter<string>,
  userId: MaybeRefOrGetter<string>,
  options: RoomStayOptions = {},
): RoomResult {
  const sync = useEngine();
  const read = (): [string, string] => [toValue(room), toValue(userId)];
  let stay = new RoomStay(sync, ...read(), options);
  const make = (): RoomStay => (stay = new RoomStay(sync, ...read(), options));
  const setPresence: RoomStay["setPresence"] = (data) => stay.setPresence(data);
  const broadcast: RoomStay["broadcast"] = (topic, data) => stay.broadcast(topic, data);
  return { ...refsOf(live(() => keyOf(read()), make)), setPresence, broadcast };
}
