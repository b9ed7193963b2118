import type { Log } from "../observe/log.ts";
import { reasonOf } from "../observe/operation.ts";
import type { Part, PartState } from "./health.ts";

/**
 * When the oldest change that waits is older than this, in milliseconds, the feed counts as behind.
 */
const FEED_BEHIND_MS = 10_000;

/** What of a server's parts the report asks; each feature has more. */
export interface HealthSources {
  readonly store: {
    /** Answers when the database can be used, rejects when it can't. */
    ping(): Promise<void>;
    stats(): { readonly isFollowing: boolean };
  };
  readonly feed: {
    /** How long the oldest change has waited to be delivered, in milliseconds. */
    readonly waitingMs: number;
  };
  readonly storage: { check(): Promise<PartState> };
  /** Where rooms are shared; null: they are in this process alone. */
  readonly backend: { readonly part: string; readonly isUp: boolean } | null;
  readonly log: Log;
}

/** What a server is made of, as `/readyz` tells it. */
export function healthParts({ store, feed, storage, backend, log }: HealthSources): Part[] {
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
      check: () => (backend.isUp ? "up" : "lost"),
    });
  return parts;
}
