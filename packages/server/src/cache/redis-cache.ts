import { toCachedText, type Cache } from "./cache.ts";
import type { Redis } from "./redis.ts";

/** A cache that all replicas share. While Redis is lost everything is a miss. */
export class RedisCache implements Cache {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#prefix = `${redis.namespace}:cache:`;
  }

  async get(key: string): Promise<unknown> {
    try {
      const text = await this.#redis.run((commands) => commands.get(this.#prefix + key));
      return text === null ? undefined : JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  async set(key: string, value: unknown, ttlMs: number): Promise<void> {
    const text = toCachedText(value);
    if (text === undefined || !(ttlMs >= 1)) return;
    await this.#redis
      .run((commands) =>
        commands.set(this.#prefix + key, text, {
          expiration: { type: "PX", value: Math.round(ttlMs) },
        }),
      )
      .catch(() => undefined);
  }

  async delete(key: string): Promise<void> {
    await this.#redis.run((commands) => commands.del(this.#prefix + key)).catch(() => undefined);
  }
}
