import type { RedisClientType } from "@redis/client";
import type { Log } from "../observe/log.ts";
import { inSpan } from "../observe/operation.ts";
import { randomFraction, sleep, systemPlatform, type Platform, type Timer } from "../platform.ts";

/**
 * The maximum duration of a command, in milliseconds. After that Redis counts as lost: a request
 * must not wait for a Redis that hangs.
 */
const COMMAND_TIMEOUT_MS = 500;
/** How often a Redis that hung is checked, in milliseconds. */
const PROBE_MS = 500;
const MAX_BACKOFF_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** A connection that is silent for three pings is closed: its other end has disappeared. */
const PING_MS = 5_000;
const SILENT_MS = 3 * PING_MS;

/** The part of the client that we use. */
export type RedisCommands = Pick<
  RedisClientType,
  "get" | "set" | "del" | "eval" | "evalSha" | "scriptLoad" | "publish"
>;

/** Redis is unavailable, or did not respond in time. */
export class RedisLostError extends Error {
  override readonly name = "RedisLostError";
}

/**
 * One Redis: a connection for commands, one for messages. Both together are either up or lost. When
 * lost, commands are rejected immediately and it reconnects without limit, so its users must be
 * able to work without it.
 */
export class Redis {
  /** The prefix of the keys and channels, so that several apps can share one Redis. */
  readonly namespace: string;
  readonly #url: string;
  readonly #log: Log;
  readonly #platform: Platform;
  readonly #listeners = new Set<(isUp: boolean) => void>();
  readonly #channels = new Map<string, (text: string) => void>();
  /** Channels with a message that could not be processed. */
  readonly #unreadable = new Set<string>();
  #commands: RedisClientType | null = null;
  #messages: RedisClientType | null = null;
  #isSubscribed = false;
  #isUnresponsive = false;
  /** Null: not reported yet. */
  #wasUp: boolean | null = null;
  #isStarting = false;
  #isClosed = false;
  #probe: Timer | undefined;
  /** Commands since the start, by outcome. */
  readonly counts = { ok: 0, failed: 0, lost: 0 };

  /** @param url `redis://` or `rediss://`; never logged */
  constructor(url: string, log: Log, namespace = "pylon", platform: Platform = systemPlatform) {
    this.#platform = platform;
    this.namespace = namespace;
    this.#url = url;
    this.#log = log;
  }

  get isUp(): boolean {
    return this.#wasUp === true;
  }

  /** Called for each loss and each return. @returns an unsubscribe function */
  onChange(listener: (isUp: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Subscribes to a channel, from the next connect on. Messages of one channel arrive in the order
   * in which Redis received them. One for which the listener throws is skipped: a newer version of
   * a replica, or another program, may have sent it.
   */
  subscribe(channel: string, listener: (text: string) => void): void {
    this.#channels.set(channel, (text) => {
      try {
        listener(text);
      } catch (error) {
        // Thrown into the client, it would end the process.
        if (!this.#unreadable.has(channel))
          this.#log.warn("a message from redis can't be read", {
            channel,
            error: String(error),
          });
        this.#unreadable.add(channel);
      }
    });
  }

  /**
   * Starts to connect.
   *
   * @param withinMs how long to wait for it, in milliseconds; after that it continues in the
   *   background
   */
  async start(withinMs: number): Promise<void> {
    this.#isStarting = true;
    // Loaded only here: most servers have no Redis.
    const { createClient } = await import("@redis/client");
    const open = (): RedisClientType => {
      const client = createClient({
        url: this.#url,
        disableOfflineQueue: true,
        pingInterval: PING_MS,
        socket: {
          connectTimeout: CONNECT_TIMEOUT_MS,
          socketTimeout: SILENT_MS,
          reconnectStrategy: (retries) =>
            Math.min(50 * 2 ** Math.min(retries, 10), MAX_BACKOFF_MS) *
            (0.5 + randomFraction(this.#platform) / 2),
        },
      }) as RedisClientType;
      client.on("error", () => this.#update());
      client.on("reconnecting", () => this.#update());
      client.on("end", () => this.#update());
      return client;
    };
    this.#commands = open();
    this.#messages = open();
    this.#commands.on("ready", () => this.#update());
    this.#messages.on("ready", () => void this.#subscribeAll());
    const connected = Promise.all([this.#commands.connect(), this.#messages.connect()]).then(
      () => this.#until(withinMs),
      () => undefined,
    );
    await Promise.race([connected, sleep(this.#platform, withinMs)]);
    this.#isStarting = false;
    if (!this.isUp) this.#setState(false);
  }

  /**
   * Runs a command.
   *
   * @throws RedisLostError immediately when Redis is lost, or after 500 ms; the client's error when
   *   Redis rejects the command
   */
  async run<T>(command: (commands: RedisCommands) => Promise<T>): Promise<T> {
    const client = this.#commands;
    if (client === null || !this.isUp) {
      this.counts.lost += 1;
      throw new RedisLostError("redis is lost");
    }
    try {
      const result = await inSpan("redis", "client", { "db.system.name": "redis" }, () =>
        within(this.#platform, command(client)),
      );
      this.counts.ok += 1;
      return result;
    } catch (error) {
      this.counts[error instanceof RedisLostError ? "lost" : "failed"] += 1;
      if (error instanceof RedisLostError) this.#onUnresponsive();
      else if (!client.isReady) this.#update();
      throw this.isUp ? error : new RedisLostError("redis is lost");
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#probe?.cancel();
    for (const client of [this.#commands, this.#messages]) {
      if (client?.isOpen === true) client.destroy();
    }
  }

  async #subscribeAll(): Promise<void> {
    const client = this.#messages;
    if (client === null) return;
    try {
      // After a reconnect the client has already subscribed again, and this changes nothing.
      for (const [channel, listener] of this.#channels) await client.subscribe(channel, listener);
      this.#isSubscribed = true;
    } catch {
      // The connection was lost again in the meantime; the next "ready" calls this again.
    }
    this.#update();
  }

  async #until(withinMs: number): Promise<void> {
    const { monotonic } = this.#platform;
    const end = monotonic() + withinMs;
    while (!this.isUp && monotonic() < end) await sleep(this.#platform, 5);
  }

  /** A command got no response: no more are sent until a probe gets one. */
  #onUnresponsive(): void {
    if (this.#isUnresponsive || this.#isClosed) return;
    this.#isUnresponsive = true;
    this.#update();
    this.#probeLater();
  }

  #probeLater(): void {
    this.#probe = this.#platform.after(PROBE_MS, () => void this.#probeNow()).unref();
  }

  async #probeNow(): Promise<void> {
    try {
      if (this.#commands !== null) await within(this.#platform, this.#commands.ping());
      this.#isUnresponsive = false;
      this.#update();
    } catch {
      if (!this.#isClosed) this.#probeLater();
    }
  }

  #update(): void {
    if (this.#isClosed) return;
    if (this.#messages?.isReady !== true) this.#isSubscribed = false;
    this.#setState(this.#commands?.isReady === true && this.#isSubscribed && !this.#isUnresponsive);
  }

  #setState(isUp: boolean): void {
    const isFirst = this.#wasUp === null;
    // One of the two connections is up before the other: what was never up is not lost.
    if (isUp === this.#wasUp || (isFirst && !isUp && this.#isStarting)) return;
    this.#wasUp = isUp;
    if (!isUp)
      this.#log.warn("redis unavailable: rooms and rate limits are per replica until it is back");
    else if (!isFirst) this.#log.info("redis is back");
    for (const listener of this.#listeners) listener(isUp);
  }
}

/** @throws RedisLostError when it takes longer than a command may */
function within<T>({ after }: Platform, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = after(COMMAND_TIMEOUT_MS, () =>
      reject(new RedisLostError("redis does not respond")),
    );
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
