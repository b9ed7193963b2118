import type { Client, ClientConfig } from "pg";
import type { Platform } from "../../../platform.ts";
import { CHANNEL_QUERY, MESSAGES_QUERY } from "./channel-functions.ts";
import { ListeningConnection } from "./listening-connection.ts";

const HEARTBEAT = { everyMs: 5_000, deadlineMs: 2_000 };

/** The options of a NotificationListener. */
export interface NotificationListenerOptions {
  readonly connection: ClientConfig;
  readonly platform: Platform;
  /** Called with each message, in commit order. */
  readonly onMessage: (text: string) => void;
  /**
   * Called when it starts to listen, and when it stops: messages sent until it listens again are
   * missed.
   */
  readonly onChange: (isListening: boolean) => void;
}

/** Receives the messages that the replicas send through the channel, complete and in order. */
export class NotificationListener {
  readonly #options: NotificationListenerOptions;
  readonly #connection: ListeningConnection;
  #client: Client | null = null;
  #isClosed = false;

  constructor(options: NotificationListenerOptions) {
    this.#options = options;
    this.#connection = new ListeningConnection({
      connection: options.connection,
      applicationName: "pylon rooms",
      heartbeat: HEARTBEAT,
      platform: options.platform,
      listen: (client) => this.#listen(client),
      onLost: () => {
        this.#client = null;
        options.onChange(false);
      },
    });
  }

  /** Whether messages sent now will be received. */
  get isListening(): boolean {
    return this.#client !== null;
  }

  /** Listens until it is closed. Never rejects. */
  run(): Promise<void> {
    return this.#connection.run();
  }

  close(): void {
    this.#isClosed = true;
    void this.#connection.close();
  }

  async #listen(client: Client): Promise<void> {
    const inbox = new Inbox(client, (text) => {
      if (this.#client === client) this.#options.onMessage(text);
    });
    client.on("notification", ({ payload = "" }) => inbox.put(payload));
    const { rows } = await client.query<{ channel: string }>(CHANNEL_QUERY);
    await client.query(`LISTEN "${String(rows[0]?.channel)}"`);
    if (this.#isClosed) throw new Error("The listener was closed.");
    this.#client = client;
    this.#options.onChange(true);
  }
}

/**
 * Reassembles messages: a notification contains a short message itself, and only the id of a longer
 * one.
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

  /** Accepts the payload of a notification. */
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
   * A message that can't be fetched, or that Pylon did not send, counts as missed, as if the
   * connection had been lost: so the connection is closed.
   */
  #miss(): void {
    void this.#client.end().catch(() => undefined);
  }

  async #empty(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      const found = await this.#fetch(
        batch.filter((payload) => payload.startsWith("#")).map((payload) => payload.slice(1)),
      );
      for (const payload of batch) {
        const text = payload.startsWith("#") ? found.get(payload.slice(1)) : payload.slice(1);
        if (text === undefined) throw new Error("A message was lost.");
        this.#onMessage(text);
      }
    }
    this.#isBusy = false;
  }

  /** Reads the texts of long messages, by their ids. */
  async #fetch(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (ids.length === 0) return new Map();
    const { rows } = await this.#client.query<{ id: string; text: string }>(MESSAGES_QUERY, [ids]);
    return new Map(rows.map(({ id, text }) => [id, text]));
  }
}
