import {
  MAX_SOCKET_PUSH_LENGTH,
  PylonError,
  type PushedMessage,
  type PushResponse,
} from "@pylonsync/protocol";
import type { Subscriber } from "../../connections/subscriber.ts";
import type { DataServices } from "../../data/routes.ts";
import { checkKeyScope } from "../../identity/key-scope.ts";
import { networkOf } from "../../util/network.ts";
import type { RateLimiter } from "../../request/rate-limit.ts";
import { toPublicError } from "../../request/responses.ts";
import { parsePush, push } from "../push.ts";
import type { SyncObserver } from "../routes.ts";

const FAILED = "An internal error occurred.";

/** The dependencies of pushes over sockets. */
export interface SocketPushesOptions {
  readonly services: DataServices;
  /** Counts requests by address; a push is one. */
  readonly limiter: Pick<RateLimiter, "isOn" | "count">;
  readonly observer: Pick<SyncObserver, "pushed">;
  /** Runs a push as an operation of its own. */
  readonly traced: (apply: () => Promise<number>) => Promise<number>;
  /** A push was answered, with the status that a request would have. */
  readonly record: (status: number, durationMs: number, address: string) => void;
  readonly onError: (error: unknown) => void;
}

/** A push as it was received. */
export interface ReceivedPush {
  /** The client's id for it. */
  readonly id: number;
  readonly message: object;
  /** The length of its text. */
  readonly length: number;
}

/**
 * Applies the pushes that clients send over their sockets, as `POST /api/sync/push` does. A
 * connection has one push at a time, which keeps the order of its writes.
 */
export class SocketPushes {
  readonly #options: SocketPushesOptions;
  readonly #busy = new WeakSet<Subscriber>();

  constructor(options: SocketPushesOptions) {
    this.#options = options;
  }

  /**
   * Applies a push and sends the response. If the socket is closed meanwhile, the changes are
   * applied nevertheless, and the client learns that from its next attempt.
   *
   * @param mayStay checks the session; returns false if the connection was closed because of it
   */
  async take(
    subscriber: Subscriber,
    received: ReceivedPush,
    mayStay: () => Promise<boolean>,
  ): Promise<void> {
    const { monotonic } = this.#options.services.platform;
    const started = monotonic();
    const status = await this.#options.traced(async () => {
      const answer = await this.#answer(subscriber, received, mayStay);
      if (answer === null) return 401;
      const { id } = received;
      subscriber.send(JSON.stringify({ type: "pushed", id, ...answer } satisfies PushedMessage));
      return answer.status ?? 200;
    });
    this.#options.record(status, monotonic() - started, subscriber.address);
  }

  /** @returns null if the connection was closed */
  async #answer(
    subscriber: Subscriber,
    received: ReceivedPush,
    mayStay: () => Promise<boolean>,
  ): Promise<Omit<PushedMessage, "type" | "id"> | null> {
    try {
      if (this.#busy.has(subscriber)) throw tooMany();
      this.#busy.add(subscriber);
      try {
        await this.#check(subscriber, received);
        if (!(await mayStay())) return null;
        return { answer: await this.#apply(subscriber, received.message) };
      } finally {
        this.#busy.delete(subscriber);
      }
    } catch (error) {
      const shown = toPublicError(error);
      if (shown === undefined) this.#options.onError(error);
      const refusal = shown ?? new PylonError("INTERNAL", FAILED);
      return { status: refusal.status, ...refusal.toBody() };
    }
  }

  /** @throws PylonError PAYLOAD_TOO_LARGE, RATE_LIMITED, UNAUTHORIZED, INSUFFICIENT_SCOPE */
  async #check({ identity, address }: Subscriber, { length }: ReceivedPush): Promise<void> {
    const { limiter, services } = this.#options;
    if (length > MAX_SOCKET_PUSH_LENGTH)
      throw new PylonError(
        "PAYLOAD_TOO_LARGE",
        `The message has more than ${MAX_SOCKET_PUSH_LENGTH} characters.`,
        { hint: "Send it with POST /api/sync/push." },
      );
    if (limiter.isOn) await limiter.count(() => networkOf(address));
    if (identity.expiresAt <= services.platform.now())
      throw new PylonError("UNAUTHORIZED", "The session has expired.", { hint: "Sign in again." });
    checkKeyScope(identity.caller, "write");
  }

  #apply(subscriber: Subscriber, message: object): Promise<PushResponse> {
    const { services, observer } = this.#options;
    const reader = services.reader(subscriber);
    return push(parsePush(message), subscriber.caller, { ...services, reader }, (outcome) =>
      observer.pushed(outcome),
    );
  }
}

function tooMany(): PylonError {
  return new PylonError("RATE_LIMITED", "The previous push has not been answered yet.", {
    hint: "Send one push at a time.",
    extra: { retry_after_secs: 1 },
  });
}
