import { PylonError } from "@pylonsync/protocol";
import type { Redis } from "../cache/redis.ts";
import type { Platform } from "../platform.ts";
import { isRecord } from "../util/is-record.ts";
import { LineReaders } from "../util/line-readers.ts";

/** The maximum length of a message, in characters. */
export const MAX_MESSAGE = 64 * 1024;
/** The maximum number of messages that are kept per channel. */
export const MAX_KEPT = 100;
/** The maximum of all channels together, in characters. */
const MAX_KEPT_CHARS = 16 * 1024 * 1024;
const MAX_CHANNELS = 1_000;
const MAX_READERS = 256;

/** A message, with the time when it was published, in ISO 8601. */
export interface PublishedMessage {
  readonly channel: string;
  readonly message: string;
  readonly timestamp: string;
}

/** A channel, and the number of its readers on this replica. */
export interface ChannelSummary {
  readonly channel: string;
  readonly subscribers: number;
}

/**
 * Messages between the programs of an operator, by channels. With Redis all replicas receive them.
 * The history has the newest messages of each channel that this replica received since its start.
 */
export class PubSub {
  readonly #platform: Platform;
  readonly #redis: Redis | null;
  readonly #readers: LineReaders<string>;
  /** In the order of their last message. */
  readonly #history = new Map<string, PublishedMessage[]>();
  #chars = 0;

  /** @param redis null if this is the only replica */
  constructor(platform: Platform, redis: Redis | null) {
    this.#platform = platform;
    this.#redis = redis;
    this.#readers = new LineReaders(platform.every, {
      maxReaders: MAX_READERS,
      maxFirstBytes: 0,
      full: `The maximum of ${MAX_READERS} channel readers of this server has been reached.`,
      cutOff: JSON.stringify({ error: "This reader is too slow and is disconnected." }),
    });
    redis?.subscribe(channelOf(redis), (text) => this.#receive(JSON.parse(text)));
  }

  /**
   * Sends a message to the readers of the channel.
   *
   * @returns the number of its readers on this replica
   * @throws PylonError NOT_READY if the message was not sent
   */
  async publish(channel: string, message: string): Promise<number> {
    const timestamp = new Date(this.#platform.now()).toISOString();
    const published = { channel, message, timestamp };
    const redis = this.#redis;
    if (redis === null) this.#deliver(published);
    else await publishTo(redis, published);
    return this.#countOf(channel);
  }

  /** Returns the channels that have a message or a reader. */
  channels(): ChannelSummary[] {
    const names = new Set([...this.#history.keys(), ...this.#readers.tags()]);
    return [...names]
      .toSorted()
      .map((channel) => ({ channel, subscribers: this.#countOf(channel) }));
  }

  /** Returns the newest messages, oldest first. */
  history(channel: string, limit: number): readonly PublishedMessage[] {
    return limit === 0 ? [] : (this.#history.get(channel)?.slice(-limit) ?? []);
  }

  /**
   * Streams each message from now on, as a line of JSON.
   *
   * @throws PylonError RATE_LIMITED
   */
  follow(channel: string): ReadableStream<Uint8Array> {
    return this.#readers.open(channel, []);
  }

  /** Ends the readers' streams. */
  close(): void {
    this.#readers.close();
  }

  #countOf(channel: string): number {
    return this.#readers.count((followed) => followed === channel);
  }

  #receive(published: unknown): void {
    if (!isRecord(published)) return;
    const { channel, message, timestamp } = published;
    if (typeof channel === "string" && typeof message === "string" && typeof timestamp === "string")
      this.#deliver({ channel, message, timestamp });
  }

  #deliver(published: PublishedMessage): void {
    const { channel } = published;
    const kept = this.#history.get(channel) ?? [];
    this.#history.delete(channel);
    this.#history.set(channel, kept);
    kept.push(published);
    this.#chars += published.message.length;
    if (kept.length > MAX_KEPT) this.#chars -= kept.shift()?.message.length ?? 0;
    for (const [oldest, messages] of this.#history) {
      if (this.#history.size <= MAX_CHANNELS && this.#chars <= MAX_KEPT_CHARS) break;
      this.#history.delete(oldest);
      for (const { message } of messages) this.#chars -= message.length;
    }
    this.#readers.tell(JSON.stringify(published), (followed) => followed === channel);
  }
}

async function publishTo(redis: Redis, published: PublishedMessage): Promise<void> {
  try {
    await redis.run((commands) => commands.publish(channelOf(redis), JSON.stringify(published)));
  } catch {
    throw new PylonError("NOT_READY", "Redis does not respond: the message was not published.", {
      hint: "Publish the message again later.",
    });
  }
}

function channelOf({ namespace }: Redis): string {
  return `${namespace}:pubsub`;
}
