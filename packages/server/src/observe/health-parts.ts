import type { FileStorage } from "../files/file-storage.ts";
import { reasonOf } from "../operation.ts";
import type { RoomBackend } from "../rooms/room-backend.ts";
import type { Store } from "../store/store.ts";
import type { Feed } from "../sync/feed.ts";
import type { Part } from "./health.ts";
import type { Log } from "./log.ts";

/**
 * When the oldest change that waits is older than this, in milliseconds, the feed counts as behind.
 */
const FEED_BEHIND_MS = 10_000;

export interface HealthPartsOptions {
  readonly store: Store;
  readonly feed: Feed;
  readonly storage: FileStorage;
  /** Null: rooms are in this process alone. */
  readonly backend: RoomBackend | null;
  readonly log: Log;
}

/** What a server is made of, as `/readyz` tells it. */
export function healthParts({ store, feed, storage, backend, log }: HealthPartsOptions): Part[] {
  const parts: Part[] = [
    { name: "database", isNeeded: true, check: async () => store.ping().then(() => "up" as const) },
    {
      name: "feed",
      isNeeded: false,
      check: () =>
        !store.stats().isFollowing ? "lost" : feed.waitingMs > FEED_BEHIND_MS ? "behind" : "up",
    },
    {
      name: "files",
      isNeeded: false,
      check: () => storage.check(),
      // The others tell of themselves.
      onChange: (state, reason) => {
        if (state === "up") log.info("files are back");
        else
          log.warn("files can't be relied on", {
            state,
            ...(reason === undefined ? {} : { reason: reasonOf(reason) }),
          });
      },
    },
  ];
  if (backend !== null)
    parts.push({
      name: backend.part,
      isNeeded: false,
      check: () => (backend.isUp ? "up" : "lost"),
    });
  return parts;
}
