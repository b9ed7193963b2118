import { MAX_SOCKET_PUSH_LENGTH, type Hello, type LiveMessage } from "@pylonsync/protocol";
import { inTime } from "../connection/deadline.ts";
import { PylonClientError, unreachable } from "../connection/errors.ts";
import type { LiveClient } from "../connection/live-client.ts";
import type { Platform } from "../platform/platform.ts";
import type { Session } from "../session/session.ts";

/**
 * The minimum time between pushes, in milliseconds: servers close sockets that send too often.
 */
const PAUSE_MS = 10;
/**
 * The time within which a push must be answered, in milliseconds. It is short, because a socket may
 * be dead; the push is then sent again over HTTP.
 */
const ANSWER_MS = 5_000;

/** The dependencies of pushes over the socket. */
export interface SocketPushOptions {
  readonly platform: Platform;
  readonly session: Pick<Session, "token">;
  /** Returns an id for a message of this page. */
  readonly nextId: () => number;
}

/**
 * Sends small pushes over the live connection of this tab, which is faster than a request: the
 * server has identified the caller already.
 */
export class SocketPush implements LiveClient {
  readonly #options: SocketPushOptions;
  #send: (text: string) => void = () => undefined;
  /** The token with which the connection was opened. */
  #token: string | null = null;
  #isReady = false;
  #sentAt = -Infinity;
  /** Handles the response to the push in flight. */
  #answer: (message: LiveMessage) => void = () => undefined;
  #fail: (error: PylonClientError) => void = () => undefined;

  constructor(options: SocketPushOptions) {
    this.#options = options;
  }

  opened(send: (text: string) => void): void {
    this.#send = send;
    this.#token = this.#options.session.token;
  }

  hello({ push }: Pick<Hello, "push">): void {
    this.#isReady = push === true;
  }

  closed(): void {
    this.#isReady = false;
    this.#fail(unreachable(undefined));
  }

  /** What is in flight was sent as the user who made it. */
  reset(): void {}

  take(message: LiveMessage): void {
    this.#answer(message);
  }

  /**
   * @returns the server's response, or null if it must be sent over HTTP. With a cookie the user
   *   may change without a trace, so that only the token proves that the connection is theirs
   */
  push(body: object): Promise<unknown> | null {
    const { platform, session, nextId } = this.#options;
    const { token } = session;
    const at = platform.now();
    const isTheirs = this.#isReady && token !== null && token === this.#token;
    if (!isTheirs || at - this.#sentAt < PAUSE_MS) return null;
    const id = nextId();
    const text = JSON.stringify({ type: "push", id, ...body });
    if (text.length > MAX_SOCKET_PUSH_LENGTH) return null;
    this.#sentAt = at;
    const answer = new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#answer = (message) => {
        if (message.type !== "pushed" || message.id !== id) return;
        if (message.error === undefined) resolve(message.answer);
        else reject(new PylonClientError(message.status ?? 0, message.error));
      };
    });
    this.#send(text);
    return inTime(platform, ANSWER_MS, answer).catch((error: unknown) => {
      if (error instanceof PylonClientError && error.status === 0) this.#isReady = false;
      throw error;
    });
  }
}
