import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RedisServer } from "../../../../tests/support/servers/redis.ts";
import { until } from "../../../../tests/support/client.ts";
import { Log } from "../observe/log.ts";
import { systemPlatform } from "../platform.ts";
import type { Cache } from "./cache.ts";
import { FunctionCache } from "./function-cache.ts";
import { MemoryCache } from "./memory-cache.ts";
import { RedisCache } from "./redis-cache.ts";
import { Redis, RedisLostError } from "./redis.ts";

let server: RedisServer;
let redis: Redis;
/** How often it has computed a random delay before it connects again. */
let waits = 0;
const lines: string[] = [];
const log = new Log({
  level: "info",
  format: "json",
  now: Date.now,
  write: (line) => lines.push(line),
});
beforeAll(async () => {
  server = await RedisServer.start();
  redis = new Redis(server.url, log, undefined, {
    ...systemPlatform,
    random: (bytes) => {
      waits += 1;
      systemPlatform.random(bytes);
    },
  });
  await redis.start(1000);
});
afterAll(async () => {
  redis.close();
  await server.stop();
});

describe.each([
  ["memory", () => new MemoryCache(systemPlatform)],
  ["redis", () => new RedisCache(redis)],
] satisfies [string, () => Cache][])("the cache in %s", (_, create) => {
  test("returns a copy of the value, until it expires or is deleted", async () => {
    const cache = create();
    const value = { list: [1, "two", null], empty: {} };
    await cache.set("k", value, 300);
    value.list.push(3);
    expect(await cache.get("k")).toEqual({ list: [1, "two", null], empty: {} });
    await until(async () => (await cache.get("k")) === undefined);
    await cache.set("k", false, 10_000);
    expect(await cache.get("k")).toBe(false);
    await cache.delete("k");
    expect(await cache.get("k")).toBeUndefined();
  });

  test("drops values that can't be stored", async () => {
    const cache = create();
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    for (const value of [undefined, cycle, 1n, () => 1, "x".repeat(1024 * 1024)]) {
      await cache.set("bad", value, 1000);
      expect(await cache.get("bad")).toBeUndefined();
    }
    for (const ttl of [0, -1, Number.NaN]) {
      await cache.set("short", 1, ttl);
      expect(await cache.get("short")).toBeUndefined();
    }
  });

  test("calls for one key share one computation, and a failed one is not stored", async () => {
    const cache = new FunctionCache(create());
    let runs = 0;
    const compute = async (): Promise<number> => {
      await Bun.sleep(20);
      return (runs += 1);
    };
    expect(
      await Promise.all(Array.from({ length: 20 }, () => cache.getOrSet("once", 60, compute))),
    ).toEqual(Array.from({ length: 20 }, () => 1));
    const failed = Promise.all(
      [1, 2].map(() => cache.getOrSet("fails", 60, () => Promise.reject(new Error("no")))),
    );
    expect(await failed.catch(String)).toBe("Error: no");
    expect(await cache.getOrSet("fails", 60, () => "now")).toBe("now");
  });
});

test("the memory keeps the most recently read values, within its bounds", async () => {
  const cache = new MemoryCache(systemPlatform, { maxEntries: 3, maxChars: 1000 });
  for (const key of ["a", "b", "c"]) await cache.set(key, key, 10_000);
  await cache.get("a");
  await cache.set("d", "d", 10_000);
  expect(await Promise.all(["a", "b", "c", "d"].map((key) => cache.get(key)))).toEqual([
    "a",
    undefined,
    "c",
    "d",
  ]);
  await cache.set("big", "x".repeat(995), 10_000);
  expect(
    await Promise.all(
      ["a", "c", "d", "big"].map(async (key) => (await cache.get(key)) !== undefined),
    ),
  ).toEqual([false, false, false, true]);
});

test("a Redis that is up from the start is not logged", async () => {
  lines.length = 0;
  const fresh = new Redis(server.url, log);
  await fresh.start(20_000);
  expect(fresh.isUp).toBe(true);
  expect(lines).toEqual([]);
  fresh.close();
});

test("a lost Redis makes all a miss; each change is logged once, without the URL", async () => {
  const secret = "p@ss word";
  const cache = new RedisCache(redis);
  await cache.set("kept", 1, 60_000);
  const wrong = new Redis(
    server.url.replace("redis://", `redis://user:${encodeURIComponent(secret)}@`),
    log,
  );
  await wrong.start(300);
  expect(wrong.isUp).toBe(false);
  wrong.close();
  lines.length = 0;
  await server.kill();
  const started = performance.now();
  expect(await cache.get("kept")).toBeUndefined();
  await cache.set("new", 1, 60_000);
  await cache.delete("kept");
  expect(
    await redis.run((commands) => commands.get("x")).catch((error: unknown) => error),
  ).toBeInstanceOf(RedisLostError);
  for (let n = 0; n < 100; n += 1) expect(await cache.get("kept")).toBeUndefined();
  // If each of them had waited its 500 ms, they would have taken 50 s.
  expect(performance.now() - started).toBeLessThan(25_000);
  const before = waits;
  await until(() => waits >= before + 3);
  await server.start();
  await until(() => redis.isUp);
  await cache.set("new", 2, 60_000);
  expect(await cache.get("new")).toBe(2);
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual([
    "redis unavailable: rooms and rate limits are per replica until it is back",
    "redis is back",
  ]);
  for (const line of lines) expect(line).not.toMatch(/redis:\/\/|p%40ss|p@ss/);
}, 60_000);
