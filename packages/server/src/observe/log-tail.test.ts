import { expect, test } from "bun:test";
import { Log } from "./log.ts";
import { LogTail } from "./log-tail.ts";

test("it retains only the newest lines, by number and by size", () => {
  const many = new LogTail();
  for (let index = 0; index < 5_000; index += 1) many.add("info", `{"n":${index}}`);
  const kept = many.recent("debug", 100_000);
  expect(kept.at(-1)).toBe('{"n":4999}');
  expect(kept.length).toBeGreaterThanOrEqual(1_000);
  expect(kept.length).toBeLessThanOrEqual(1_250);
  const long = new LogTail();
  for (let index = 0; index < 100; index += 1) long.add("info", "x".repeat(100_000));
  expect(long.recent("debug", 100).join("").length).toBeLessThanOrEqual(1.25 * 1024 * 1024);
});

test("a slow reader is told so and disconnected, and the log continues", async () => {
  const tail = new LogTail();
  const stream = tail.follow("debug", 0);
  for (let index = 0; index < 1_000; index += 1)
    tail.add("info", JSON.stringify({ text: "x".repeat(10_000) }));
  const text = await new Response(stream).text();
  expect(text.length).toBeLessThan(4 * 1024 * 1024);
  expect(text.trimEnd().split("\n").at(-1)).toContain("disconnected");
});

test.each(["json", "text"] as const)(
  "with the format %s it contains JSON, and with json the same lines as stderr",
  (format) => {
    const written: string[] = [];
    const log = new Log({
      level: "info",
      format,
      now: () => 0,
      write: (line) => written.push(line),
    });
    log.debug("below the level");
    log.warn("slow", { ms: 3 });
    log.error("broke", new Error("why"));
    const lines = log.tail.recent("debug", 10);
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual([
      "slow",
      "broke",
    ]);
    if (format === "json") expect(lines).toEqual(written);
  },
);
