import {
  HttpClient,
  systemPlatform,
  type Room,
  type RoomBroadcast,
  type RoomOptions,
  type RoomState,
} from "@pylonsync/sync";
import { useCallback, useEffect, useRef, useState } from "react";
import { useEngine } from "./provider.tsx";

/** Options of `useRoom`. */
export interface UseRoomOptions extends RoomOptions {
  /** The URL of another server than the app's. */
  readonly baseUrl?: string;
  /** Overrides the session's token. */
  readonly token?: string;
  /** Called with each broadcast to the room. */
  readonly onBroadcast?: (message: RoomBroadcast) => void;
}

/** The other members of a room, and functions to send to them. */
export interface RoomResult extends RoomState {
  readonly setPresence: (data: unknown) => Promise<void>;
  readonly broadcast: (topic: string, data?: unknown) => Promise<void>;
  readonly leave: () => Promise<void>;
}

const OUTSIDE: RoomState = { peers: [], isConnected: false, error: null };

/**
 * Joins a room while the component is mounted. Joins, leaves, presence and broadcasts use the
 * engine's connection.
 *
 * @param userId the signed-in user's id, who is excluded from `peers`
 * @example
 * function Cursors({ userId }: { userId: string }) {
 *   const { peers, setPresence } = useRoom("document-1", userId, {
 *     initialPresence: { cursor: null },
 *   });
 *   const move = (cursor: number) => void setPresence({ cursor });
 *   return <div onPointerMove={({ clientX }) => move(clientX)}>{peers.length} others</div>;
 * }
 */
export function useRoom(roomId: string, userId: string, options: UseRoomOptions = {}): RoomResult {
  const { baseUrl, token } = options;
  const engine = useEngine();
  const [state, setState] = useState(OUTSIDE);
  const room = useRef<Room | null>(null);
  // The newest callbacks are used, without rejoining when they change.
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  useEffect(() => {
    const isApps = baseUrl === undefined && token === undefined;
    const http = isApps
      ? undefined
      : new HttpClient(baseUrl ?? engine.baseUrl, systemPlatform, () => token ?? engine.token);
    const { initialPresence, heartbeatInterval } = latest.current;
    const current = engine.joinRoom(roomId, userId, {
      ...(initialPresence === undefined ? {} : { initialPresence }),
      ...(heartbeatInterval === undefined ? {} : { heartbeatInterval }),
      ...(http === undefined ? {} : { http }),
    });
    room.current = current;
    setState(current.state);
    const stops = [
      current.onChange(setState),
      current.onBroadcast((message) => latest.current.onBroadcast?.(message)),
    ];
    return () => {
      for (const stop of stops) stop();
      room.current = null;
      void current.leave();
    };
  }, [engine, roomId, userId, baseUrl, token]);
  const setPresence = useCallback(
    (data: unknown) => ignorable(room.current?.setPresence(data)),
    [],
  );
  const broadcast = useCallback(
    (topic: string, data?: unknown) => ignorable(room.current?.broadcast(topic, data)),
    [],
  );
  const leave = useCallback(async () => room.current?.leave(), []);
  return { ...state, setPresence, broadcast, leave };
}

/** Handlers of events often ignore the promise, which must not cause an unhandled rejection. */
function ignorable(sent: Promise<void> = Promise.resolve()): Promise<void> {
  sent.catch(() => undefined);
  return sent;
}
