import { expect, test } from "bun:test";
import { CALLER_SHARE, STALL_WHEN_FULL_MS } from "@pylonsync/protocol";
import { systemPlatform } from "../platform.ts";
import { pacedBytes, pacedStream } from "./paced-answer.ts";
import { restOf } from "./rest-of.ts";
import { Transfers } from "./transfers.ts";

const MAX = 400;
const SHARE = MAX / CALLER_SHARE;

class Clock {
  now = 0;
  readonly platform = { ...systemPlatform, monotonic: () => this.now };
}

function codeOf(work: () => void): string {
  try {
    work();
    return "taken";
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
}

test("D3: one caller may use its share, and all callers together the whole", () => {
  const transfers = new Transfers(MAX, new Clock().platform);
  for (let caller = 0; caller < CALLER_SHARE; caller += 1) {
    transfers.open(`${caller}`, () => undefined).add(SHARE);
    expect(codeOf(() => transfers.open(`${caller}`, () => undefined).add(1))).toBe("RATE_LIMITED");
  }
  expect(codeOf(() => transfers.open("another", () => undefined).add(1))).toBe("OVERLOADED");
  expect(codeOf(() => transfers.check("another"))).toBe("taken");
  expect(transfers.total).toBe(MAX);
});

test("D3: bytes that were sent make room, and so do ended transfers", () => {
  const transfers = new Transfers(MAX, new Clock().platform);
  const first = transfers.open("a", () => undefined);
  first.add(SHARE);
  first.sent(40);
  transfers.open("a", () => undefined).add(40);
  expect(codeOf(() => transfers.open("a", () => undefined).add(1))).toBe("RATE_LIMITED");
  first[Symbol.dispose]();
  transfers.open("a", () => undefined).add(60);
  expect(transfers.total).toBe(SHARE);
});

test("D3: when there is no room, the transfer that has stalled longest is aborted", () => {
  const clock = new Clock();
  const transfers = new Transfers(MAX, clock.platform);
  const ended: string[] = [];
  for (const caller of ["a", "b", "c", "d"]) {
    transfers.open(caller, () => ended.push(caller)).add(SHARE);
    clock.now += 1;
  }
  expect(codeOf(() => transfers.open("e", () => undefined).add(SHARE))).toBe("OVERLOADED");
  clock.now += STALL_WHEN_FULL_MS;
  transfers.open("e", () => undefined).add(SHARE);
  expect(ended).toEqual(["a"]);
  expect(transfers.total).toBe(MAX);
});

test("D3: a transfer that is alone is never rejected, however large it is", () => {
  const transfers = new Transfers(MAX, new Clock().platform);
  transfers.open("a", () => undefined).add(10 * MAX);
  expect(codeOf(() => transfers.open("b", () => undefined).add(1))).toBe("OVERLOADED");
});

test("D3: a stream is produced only as fast as it is read, and frees what was read", async () => {
  const transfers = new Transfers(MAX, new Clock().platform);
  let made = 0;
  async function* pieces(): AsyncGenerator<string> {
    for (; made < 5; made += 1) yield "x".repeat(50);
  }
  const reader = pacedStream(pieces(), (abort) => transfers.open("a", abort), null).getReader();
  expect(made).toBe(0);
  await reader.read();
  await reader.read();
  expect(made).toBeLessThan(5);
  expect(transfers.total).toBeLessThanOrEqual(100);
  await reader.cancel();
  expect(transfers.total).toBe(0);
});

test("D3: a response that is not rejected disconnects the readers who hold the most", () => {
  const clock = new Clock();
  const transfers = new Transfers(MAX, clock.platform);
  const ended: string[] = [];
  const open = (key: string, bytes: number): void => {
    transfers.open(key, () => ended.push(key), false).add(bytes);
    clock.now += 1;
  };
  open("other", 50);
  for (let n = 0; n < 20; n += 1) open("greedy", SHARE);
  expect(ended).toEqual(Array.from({ length: 13 }, () => "greedy"));
  expect(transfers.total).toBe(50 + 7 * SHARE);
  open("other", 10 * MAX);
  expect(transfers.total).toBe(10 * MAX);
});

test("D3: the rest of a body does not keep the memory of what was sent", async () => {
  const transfers = new Transfers(Infinity, new Clock().platform);
  const whole = new Uint8Array(64 * 64 * 1024);
  const reader = pacedBytes(whole, (abort) => transfers.open("a", abort)).getReader();
  for (let n = 0; n < 40; n += 1) {
    const { value } = await reader.read();
    expect(value?.buffer.byteLength).toBe(64 * 1024);
  }
  expect(restOf(whole, 31 * 64 * 1024).buffer).toBe(whole.buffer);
  for (const bytes of [whole, Buffer.from(whole.buffer)])
    expect(restOf(bytes, 33 * 64 * 1024).buffer.byteLength).toBe(31 * 64 * 1024);
  await reader.cancel();
  expect(transfers.total).toBe(0);
});
