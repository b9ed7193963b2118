import { CloseCode } from "@pylonsync/protocol";
import type { Sessions } from "../auth/sessions.ts";
import type { Feed } from "./feed.ts";

const LOOK_MS = 1_000;

/** Closes the connections of sessions that were ended or have expired, within a second. */
export class SessionWatch {
  readonly #feed: Feed;
  readonly #now: () => number;
  readonly #stopListening: () => void;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(feed: Feed, sessions: Sessions, now: () => number) {
    this.#feed = feed;
    this.#now = now;
    this.#stopListening = sessions.onEnd((sessionId) => this.#close((identity) => identity.sessionId === sessionId));
    this.#timer = setInterval(() => this.#close((identity) => identity.expiresAt <= this.#now()), LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopListening();
  }

  #close(hasEnded: (identity: { readonly sessionId: string | null; readonly expiresAt: number }) => boolean): void {
    for (const subscriber of [...this.#feed.subscribers]) {
      if (!hasEnded(subscriber.identity)) continue;
      subscriber.close(CloseCode.SESSION_ENDED, "the session has ended");
      this.#feed.leave(subscriber);
    }
  }
}
