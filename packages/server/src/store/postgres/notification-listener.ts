import { Client, type ClientConfig } from "pg";
import { CHANNEL_QUERY, MESSAGES_QUERY } from "./room-ddl.ts";
import type { Platform, Timer } from "../../platform.ts";
import { pause } from "./pause.ts";

/**
 * How long the server may take to answer on this connection, and how often it is asked whether it
 * is still there, in milliseconds.
 */
const DEADLINE_MS = 2_000;
const PULSE_MS = 5_000;

/** Who is told of what a NotificationListener hears. */
export interface EarOptions {
  /** A message, in the order in which they were committed. */
  readonly onMessage: (text: string) => void;
  /** It listens from now on, or does so no more: what is said until the next time is missed. */
  readonly onChange: (isListening: boolean) => void;
}

/** The connection that listens to what the replicas say, opened again without end. */
export class NotificationListener {
  readonly #connection: ClientConfig;
  readonly #platform: Platform;
  readonly #options: EarOptions;
  #client: Client | null = null;
  #isClosed = false;

  constructor(connection: ClientConfig, platform: Platform, options: EarOptions) {
    this.#platform = platform;
    this.#connection = {
      ...connection,
      application_name: "pylon rooms",
      keepAlive: true,
      connectionTimeoutMillis: DEADLINE_MS,
      query_timeout: DEADLINE_MS,
    };
    this.#options = options;
  }

  get isListening(): boolean {
    return this.#client !== null;
  }

  /** Listens until it is closed. */
  async run(): Promise<void> {
    for (let attempt = 0; !this.#isClosed; attempt += 1) {
      const client = new Client(this.#connection);
      const gone = new Promise<void>((resolve) => {
        client.on("error", () => resolve());
        client.on("end", () => resolve());
      });
      try {
        await client.connect();
        await this.#listen(client);
        attempt = 0;
        await this.#stay(client, gone);
      } catch {
        // Whoever asks the database learns that it can't be reached; here it is enough to try
        // again.
      }
      this.#leave();
      // A server that hangs does not answer the goodbye either.
      void client.end().catch(() => undefined);
      if (!this.#isClosed) await pause(this.#platform, attempt);
    }
  }

  close(): void {
    this.#isClosed = true;
    void this.#client?.end().catch(() => undefined);
  }

  async #listen(client: Client): Promise<void> {
    const inbox = new Inbox(client, (text) => {
      if (this.#client === client) this.#options.onMessage(text);
    });
    client.on("notification", ({ payload = "" }) => inbox.put(payload));
    const { rows } = await client.query<{ channel: string }>(CHANNEL_QUERY);
    await client.query(`LISTEN "${String(rows[0]?.channel)}"`);
    if (this.#isClosed) throw new Error("It was closed meanwhile.");
    this.#client = client;
    this.#options.onChange(true);
  }

  /**
   * A connection whose other end went without a word says nothing, and looks like one on which
   * nothing is said.
   */
  async #stay(client: Client, gone: Promise<void>): Promise<void> {
    let pulse: Timer | undefined;
    const silent = new Promise<void>((resolve) => {
      const ask = (): unknown => client.query("SELECT 1").catch(() => resolve());
      pulse = this.#platform.every(PULSE_MS, () => void ask()).unref();
    });
    await Promise.race([gone, silent]).finally(() => pulse?.cancel());
  }

  #leave(): void {
    if (this.#client === null) return;
    this.#client = null;
    this.#options.onChange(false);
  }
}

/**
 * Puts messages back into one piece: a notification has a short one itself, and of a longer one its
 * number.
 */
class Inbox {
  readonly #client: Client;
  readonly #onMessage: (text: string) => void;
  readonly #waiting: string[] = [];
  #isBusy = false;

  constructor(client: Client, onMessage: (text: string) => void) {
    this.#client = client;
    this.#onMessage = onMessage;
  }

  put(payload: string): void {
    if (payload.startsWith("=") && !this.#isBusy) {
      try {
        this.#onMessage(payload.slice(1));
      } catch {
        this.#miss();
      }
      return;
    }
    this.#waiting.push(payload);
    if (this.#isBusy) return;
    this.#isBusy = true;
    void this.#empty().catch(() => this.#miss());
  }

  /**
   * What can't be had, or is none of ours, was missed as if the connection had been lost: so it is.
   */
  #miss(): void {
    void this.#client.end().catch(() => undefined);
  }

  async #empty(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      const ids = batch
        .filter((payload) => payload.startsWith("#"))
        .map((payload) => payload.slice(1));
      const found = new Map<string, string>();
      if (ids.length > 0) {
        const { rows } = await this.#client.query<{ id: string; text: string }>(MESSAGES_QUERY, [
          ids,
        ]);
        for (const { id, text } of rows) found.set(id, text);
      }
      for (const payload of batch) {
        const text = payload.startsWith("#") ? found.get(payload.slice(1)) : payload.slice(1);
        if (text === undefined) throw new Error("A message is gone.");
        this.#onMessage(text);
      }
    }
    this.#isBusy = false;
  }
}
