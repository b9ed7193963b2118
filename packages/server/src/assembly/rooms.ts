import { createIdFactory } from "@pylonsync/protocol";
import type { Redis } from "../cache/redis.ts";
import type { Log } from "../observe/log.ts";
import type { HealthSources } from "../monitoring/health-parts.ts";
import { MemoryRoomStore } from "../rooms/memory/memory-room-store.ts";
import { PostgresRooms } from "../rooms/postgres/postgres-rooms.ts";
import { RedisRooms } from "../rooms/redis/redis-rooms.ts";
import type { RoomTimes } from "../rooms/room-store.ts";
import { Rooms } from "../rooms/rooms.ts";
import type { RoomBackend } from "../rooms/shared/room-backend.ts";
import { SharedRoomStore } from "../rooms/shared/shared-room-store.ts";
import type { Store } from "../store/store.ts";
import type { Feed } from "../sync/feed.ts";
import type { Base } from "./base.ts";

/** Creates the rooms, in memory or shared by the replicas. */
export function roomsOf(
  { store, app, options, redis }: Base,
  feed: Feed,
): { readonly rooms: Rooms; readonly backend: HealthSources["backend"] } {
  const { log, platform, roomTimes: times } = options;
  const replica = createIdFactory(platform.now, platform.random)();
  const backend = roomBackend(redis, store, { times, replica, log });
  let shared: SharedRoomStore | null = null;
  const rooms = new Rooms({
    connections: feed.connections,
    createStore: (deliver) => {
      const common = { deliver, times, platform };
      if (backend === null) return new MemoryRoomStore(common);
      shared = new SharedRoomStore({ ...common, backend, log });
      return shared;
    },
    rules: () => app.current.rooms,
    rows: store,
    platform,
    onError: (error) => log.error("rooms failed", error),
  });
  if (backend === null) return { rooms, backend };
  const isShared = (): boolean => backend.isUp && shared?.isRefused !== true;
  return { rooms, backend: { part: backend.part, isUp: isShared } };
}

/** Returns the shared backend of the rooms, or null for a server that is the only one. */
function roomBackend(
  redis: Redis | null,
  { link }: Store,
  own: { readonly times: RoomTimes; readonly replica: string; readonly log: Log },
): RoomBackend | null {
  const { times, replica, log } = own;
  if (redis !== null) return new RedisRooms(redis, times, replica);
  return link === null ? null : new PostgresRooms(link, times, replica, log);
}
