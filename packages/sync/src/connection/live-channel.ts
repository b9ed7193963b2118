import { Attempts } from "./attempts.ts";
import { openLive, type LiveClient, type LiveOptions } from "./live-client.ts";
import type { EndReason, LiveConnection, TransportType } from "./transport/transport.ts";

/**
 * A server that does not send hello within this time, in milliseconds, does not support version 2.
 */
const HELLO_MS = 5_000;
/** The number of consecutive failures after which the server counts as not supporting it. */
const MAX_FAILURES = 5;
/** The pause after that, in milliseconds. */
const PAUSE_MS = 10_000;

/** The dependencies of a live channel. */
export interface LiveChannelOptions extends LiveOptions {
  readonly transport: TransportType;
  readonly reconnectDelay: number;
  /** Called when there has been no connection for a while. */
  readonly onSilence: () => void;
}

/**
 * A connection of version 2 in addition to that of a full replica, open as long as it is needed.
 */
export class LiveChannel {
  readonly #options: LiveChannelOptions;
  readonly #client: LiveClient;
  readonly #attempts: Attempts;
  #connection: LiveConnection | null = null;
  #failures = 0;
  #cancelWait: () => void = () => undefined;

  constructor(client: LiveClient, options: LiveChannelOptions) {
    const { platform, transport, reconnectDelay } = options;
    this.#client = client;
    this.#options = options;
    this.#attempts = new Attempts(platform, transport, reconnectDelay);
  }

  /** Connects, unless it is connected. */
  connect(): void {
    if (this.#connection !== null) return;
    this.#cancelWait();
    const onEnd = (why: EndReason): void => this.#end(why);
    try {
      this.#connection = openLive(this.#attempts.transport, this.#options, [this.#client], {
        onOpen: () => {
          this.#cancelWait = this.#options.platform.after(HELLO_MS, () => this.#end("lost"));
        },
        onHello: () => {
          this.#cancelWait();
          this.#attempts.opened();
          this.#failures = 0;
        },
        onChanges: () => undefined,
        onMessage: () => undefined,
        onEnd,
      });
    } catch {
      // WebSockets are not available.
      this.#failures += 1;
      this.#attempts.fallBack();
      this.connect();
    }
  }

  /** Closes the connection, and cancels a pending reconnect. */
  disconnect(): void {
    this.#cancelWait();
    this.#connection?.close();
    this.#connection = null;
  }

  #end(why: EndReason): void {
    this.disconnect();
    this.#attempts.ended(why);
    this.#failures += 1;
    const isSilent = this.#failures >= MAX_FAILURES;
    if (isSilent) this.#options.onSilence();
    const wait = isSilent ? PAUSE_MS : this.#attempts.next();
    this.#cancelWait = this.#options.platform.after(wait, () => this.connect());
  }
}
