import { expect, test } from "bun:test";
import { shardUrl } from "./shard-url.ts";

const sid = { subscriberId: "u/1 &" };

test("a URL leads to its /shards, a host name to the port for shards", () => {
  const query = "?shard=arena%3A1&sid=u%2F1+%26";
  for (const [address, url] of [
    [{ baseUrl: "https://api.test" }, `wss://api.test/shards${query}`],
    [{ baseUrl: "http://localhost:4321/" }, `ws://localhost:4321/shards${query}`],
    [{ baseUrl: "https://api.test/v1/" }, `wss://api.test/v1/shards${query}`],
    [{ baseUrl: "game.test" }, `ws://game.test:4324/${query}`],
    [{ baseUrl: "game.test", wsPort: 9 }, `ws://game.test:9/${query}`],
    [{}, `ws://localhost:4324/${query}`],
    [{ wsUrl: "wss://x.test/any", baseUrl: "https://api.test" }, "wss://x.test/any"],
  ] as const)
    expect(shardUrl("arena:1", { ...sid, ...address }, undefined)).toBe(url);
});

test("a client may request fewer views", () => {
  const ask = (viewRate: number): string =>
    shardUrl("a", { baseUrl: "https://x", viewRate }, undefined);
  expect(ask(10)).toBe("wss://x/shards?shard=a&rate=10");
});

test("a page over https connects with TLS, to its own host", () => {
  const page = { hostname: "app.test", protocol: "https:" };
  expect(shardUrl("a", { subscriberId: "u" }, page)).toBe("wss://app.test:4324/?shard=a&sid=u");
});
