import { CloseCode } from "@pylonsync/protocol";
import type { ApiKeys } from "../auth/api-keys/api-keys.ts";
import type { Sessions } from "../auth/sessions/sessions.ts";
import type { Platform, Timer } from "../platform.ts";
import type { Feed } from "./feed.ts";
import type { Subscriber } from "../connections/subscriber.ts";

const POLL_MS = 1_000;

/**
 * Closes the connections of sessions and API keys that were revoked or have expired, and makes
 * those of changed ones load a new snapshot, within a second.
 */
export class SessionWatch {
  readonly #feed: Feed;
  readonly #now: () => number;
  readonly #stops: readonly (() => void)[];
  readonly #timer: Timer;

  constructor(
    feed: Feed,
    sessions: Sessions,
    apiKeys: ApiKeys,
    { now, every }: Pick<Platform, "now" | "every">,
  ) {
    this.#feed = feed;
    this.#now = now;
    const end = (subscriber: Subscriber): void =>
      subscriber.close(CloseCode.SESSION_ENDED, "the session has ended");
    const isOver = ({ identity }: Subscriber): boolean => identity.expiresAt <= this.#now();
    this.#stops = [
      sessions.onEnd((sessionId) =>
        this.#leave(({ identity }) => identity.sessionId === sessionId, end),
      ),
      apiKeys.onEnd((keyId) => this.#leave(({ caller }) => caller.apiKeyId === keyId, end)),
      // The permissions of its user have changed: a client that reconnects must authenticate again.
      sessions.onChange((sessionId) =>
        this.#leave(
          ({ identity }) => identity.sessionId === sessionId,
          (subscriber) => subscriber.resync("the session has changed"),
        ),
      ),
      sessions.onUserChange((userId) =>
        this.#leave(
          ({ caller }) => caller.userId === userId,
          (subscriber) => subscriber.resync("the session has changed"),
        ),
      ),
    ];
    this.#timer = every(POLL_MS, () => this.#leave(isOver, end)).unref();
  }

  stop(): void {
    this.#timer.cancel();
    for (const stop of this.#stops) stop();
  }

  #leave(
    matches: (subscriber: Subscriber) => boolean,
    say: (subscriber: Subscriber) => void,
  ): void {
    for (const subscriber of [...this.#feed.subscribers]) {
      if (!matches(subscriber)) continue;
      say(subscriber);
      this.#feed.leave(subscriber);
    }
  }
}
