import type { Socket } from "bun";
import { expect, test } from "bun:test";
import { Log } from "../observe/log.ts";
import { Redis } from "./redis.ts";

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** The part of a Redis that a subscription needs: it responds OK to everything. */
function smallRedis(): { readonly url: string; say(text: string): void; stop(): void } {
  let subscriber: Socket | null = null;
  let channel = "";
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        for (const command of bytes.toString().split(/(?=\*\d+\r\n)/)) {
          const [name, argument = ""] = [...command.matchAll(/\$\d+\r\n([^\r]*)/g)].map(
            ([, text = ""]) => text,
          );
          if (name === "subscribe") {
            [subscriber, channel] = [socket, argument];
            socket.write(`>3\r\n${bulk("subscribe")}${bulk(argument)}:1\r\n`);
          } else socket.write(name === "PING" ? "+PONG\r\n" : "+OK\r\n");
        }
      },
    },
  });
  return {
    url: `redis://127.0.0.1:${server.port}`,
    say: (text) => void subscriber?.write(`>3\r\n${bulk("message")}${bulk(channel)}${bulk(text)}`),
    stop: () => server.stop(true),
  };
}

test("a message for which its listener throws is skipped, and logged once", async () => {
  const server = smallRedis();
  const lines: string[] = [];
  const log = new Log({
    level: "info",
    format: "json",
    now: Date.now,
    write: (line) => lines.push(line),
  });
  const redis = new Redis(server.url, log);
  const heard: unknown[] = [];
  const all = Promise.withResolvers<void>();
  redis.subscribe("pylon:test", (text) => {
    heard.push(JSON.parse(text));
    if (heard.length === 2) all.resolve();
  });
  try {
    await redis.start(5_000);
    for (const text of ["1", "not json", "[", "2"]) server.say(text);
    await all.promise;
    expect(heard).toEqual([1, 2]);
    expect(lines.filter((line) => line.includes("can't be read"))).toHaveLength(1);
  } finally {
    redis.close();
    server.stop();
  }
});
