import { Client, type ClientConfig } from "pg";
import type { Platform } from "../../../platform.ts";
import { pause } from "../pause.ts";

/** How a connection is found out that says nothing because its other end is gone. */
export interface Pulse {
  /** How often the server is asked whether it is there, in milliseconds. */
  readonly everyMs: number;
  /** How long it may take to connect and to answer, in milliseconds. */
  readonly deadlineMs: number;
}

/** Which connection listens, and who is told of it. */
export interface ListeningOptions {
  readonly connection: ClientConfig;
  /** As what Postgres shows the connection. */
  readonly applicationName: string;
  /**
   * Called with each new connection: it listens to it and runs LISTEN. When it rejects, the next
   * connection is tried.
   */
  readonly listen: (client: Client) => Promise<void>;
  /** Called when a connection that listened is gone. */
  readonly onLost: () => void;
  /** Null: only what the network says ends a connection. */
  readonly pulse: Pulse | null;
  readonly platform: Platform;
}

/**
 * A connection that listens to notifications. When it is lost another one is opened, again and
 * again, until it is closed. It says nothing of a database that can't be reached: its queries find
 * that out.
 */
export class ListeningConnection {
  readonly #options: ListeningOptions;
  readonly #config: ClientConfig;
  #client: Client | null = null;
  #isClosed = false;

  constructor(options: ListeningOptions) {
    this.#options = options;
    const { connection, applicationName, pulse } = options;
    this.#config = {
      ...connection,
      application_name: applicationName,
      keepAlive: true,
      ...(pulse !== null && {
        connectionTimeoutMillis: pulse.deadlineMs,
        query_timeout: pulse.deadlineMs,
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

  /** Ends the connection, and opens no other one. */
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
      // The next connection is tried.
    }
    this.#client = null;
    if (hasListened) this.#options.onLost();
    // Not awaited: a server that hangs does not answer this either.
    void client.end().catch(ignore);
    return hasListened;
  }

  /** Waits until the connection has ended, or its server does not answer in time. */
  async #untilSilent(client: Client, gone: Promise<void>): Promise<void> {
    const { pulse, platform } = this.#options;
    if (pulse === null) return gone;
    const { promise: silence, resolve } = Promise.withResolvers<void>();
    const timer = platform
      .every(pulse.everyMs, () => void client.query("SELECT 1").catch(() => resolve()))
      .unref();
    await Promise.race([gone, silence]);
    timer.cancel();
  }
}

/** A connection that is closed is over, however that ends. */
function ignore(): void {
  return undefined;
}
