import type { Log } from "../observe/log.ts";
import { reasonOf } from "../observe/operation.ts";
import type { Part, PartState } from "./health.ts";

/** The age of the oldest waiting change from which the feed counts as behind, in milliseconds. */
const FEED_BEHIND_MS = 10_000;

/** The parts of a server that the report checks; each feature adds more. */
export interface HealthSources {
  readonly store: {
    /** Rejects if the database can't be used at all. */
    ping(): Promise<PartState>;
    stats(): { readonly isFollowing: boolean };
  };
  readonly feed: {
    /** How long the oldest change has been waiting for delivery, in milliseconds. */
    readonly waitingMs: number;
  };
  readonly storage: { check(): Promise<PartState> };
  /** The shared backend of the rooms, or null if they exist only in this process. */
  readonly backend: { readonly part: string; readonly isUp: () => boolean } | null;
  readonly log: Log;
}

/** Returns the parts of a server that `/readyz` reports. */
export function healthParts({ store, feed, storage, backend, log }: HealthSources): Part[] {
  const parts: Part[] = [
    { name: "database", isNeeded: true, check: () => store.ping() },
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
      // The other parts log their own changes.
      onChange: (state, reason) => {
        if (state === "up") log.info("file storage is back");
        else
          log.warn("file storage unavailable", {
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
      check: () => (backend.isUp() ? "up" : "lost"),
    });
  return parts;
}
