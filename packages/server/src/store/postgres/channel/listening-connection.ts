import { Client, type ClientConfig } from "pg";
import type { Platform } from "../../../platform.ts";
import { pause } from "../pause.ts";

/** How to detect a connection that is silent because its other end is gone. */
export interface Heartbeat {
  /** The interval of the liveness checks, in milliseconds. */
  readonly everyMs: number;
  /** The maximum time for connecting and for a response, in milliseconds. */
  readonly deadlineMs: number;
}

/** The options of a listening connection. */
export interface ListeningOptions {
  readonly connection: ClientConfig;
  /** The name of the connection in Postgres. */
  readonly applicationName: string;
  /**
   * Called with each new connection: adds listeners to it and runs LISTEN. If it rejects, another
   * connection is opened.
   */
  readonly listen: (client: Client) => Promise<void>;
  /** Called when a listening connection is lost. */
  readonly onLost: () => void;
  /** Null: the connection only ends when the network reports it. */
  readonly heartbeat: Heartbeat | null;
  readonly platform: Platform;
}

/**
 * A connection that listens to notifications. If it is lost, another one is opened, repeatedly,
 * until it is closed. It does not report an unreachable database: the queries of its user discover
 * that.
 */
export class ListeningConnection {
  readonly #options: ListeningOptions;
  readonly #config: ClientConfig;
  #client: Client | null = null;
  #isClosed = false;

  constructor(options: ListeningOptions) {
    this.#options = options;
    const { connection, applicationName, heartbeat } = options;
    this.#config = {
      ...connection,
      application_name: applicationName,
      keepAlive: true,
      ...(heartbeat !== null && {
        connectionTimeoutMillis: heartbeat.deadlineMs,
        query_timeout: heartbeat.deadlineMs,
      }),
    };
  }

  /** Listens until it is closed. Never rejects. */
  async run(): Promise<void> {
    for (let attempt = 0; !this.#isClosed; attempt += 1) {
      if (await this.#once()) attempt = 0;
      if (!this.#isClosed) await pause(this.#options.platform, attempt);
    }
  }

  /** Ends the connection, and opens no other. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#client?.end().catch(ignore);
  }

  /** @returns whether it listened */
  async #once(): Promise<boolean> {
    const client = new Client(this.#config);
    this.#client = client;
    const gone = new Promise<void>((resolve) => {
      client.on("error", () => resolve());
      client.on("end", () => resolve());
    });
    let hasListened = false;
    try {
      await client.connect();
      await this.#options.listen(client);
      hasListened = true;
      if (!this.#isClosed) await this.#untilSilent(client, gone);
    } catch {
      // Another connection is opened.
    }
    this.#client = null;
    if (hasListened) this.#options.onLost();
    // Not awaited: a server that hangs does not respond to this either.
    void client.end().catch(ignore);
    return hasListened;
  }

  /** Waits until the connection has ended, or its server does not respond in time. */
  async #untilSilent(client: Client, gone: Promise<void>): Promise<void> {
    const { heartbeat, platform } = this.#options;
    if (heartbeat === null) return gone;
    const { promise: silence, resolve } = Promise.withResolvers<void>();
    const timer = platform
      .every(heartbeat.everyMs, () => void client.query("SELECT 1").catch(() => resolve()))
      .unref();
    await Promise.race([gone, silence]);
    timer.cancel();
  }
}

/** For closing a connection: it is no longer used, even if closing fails. */
function ignore(): void {
  return undefined;
}
