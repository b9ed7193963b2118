import { expect, test } from "bun:test";
import { MAX_STREAM_BUFFER, PylonError, STALL_MS } from "@pylonsync/protocol";
import fc from "fast-check";
import { Transfers } from "../request/transfers.ts";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { streamCall } from "./call-stream.ts";
import { encodeResult } from "./encode-result.ts";
import type { FunctionStream } from "./call.ts";

interface Event {
  readonly event: string;
  readonly data: string;
}

/** Reads an event stream as the standard has it. */
function eventsOf(text: string): Event[] {
  return text
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      const lines = block.split("\n").map((line) => {
        const [, name = "", value = ""] = /^([^:]*): ?([^]*)$/.exec(line) ?? [];
        return { name, value };
      });
      const valuesOf = (name: string): string[] =>
        lines.flatMap((line) => (line.name === name ? [line.value] : []));
      return { event: valuesOf("event").at(-1) ?? "message", data: valuesOf("data").join("\n") };
    });
}

async function read(work: (stream: FunctionStream) => unknown): Promise<Event[]> {
  const { response } = streamCall(async (stream) => encodeResult(await work(stream)), "r1");
  expect(response.headers.get("Content-Type")).toBe("text/event-stream");
  return eventsOf(await response.text());
}

const PARTS = ["a", " ", ":", "\n", "\r", "\r\n", "é", "data: "] as const;
const text = fc.string({ unit: fc.constantFrom(...PARTS) });
const writes = fc.array(
  fc.record({ name: fc.option(fc.constantFrom("token", "done", "two\nlines")), text }),
  { maxLength: 5 },
);

test("texts arrive unchanged except for line ends, and the result is last", async () => {
  await fc.assert(
    fc.asyncProperty(writes, fc.jsonValue(), async (all, result) => {
      const events = await read(async (stream) => {
        for (const one of all) {
          if (one.name === null) await stream.write(one.text);
          else await stream.writeEvent(one.name, one.text);
        }
        return result;
      });
      const expected = all.map(({ name, text: data }) => ({
        event: (name ?? "message").replaceAll("\n", " "),
        data: data.replaceAll(/\r\n|\r/g, "\n"),
      }));
      expect(events).toEqual([...expected, { event: "result", data: JSON.stringify(result) }]);
    }),
  );
});

test("an error of the app is sent unchanged, an internal error without its message", async () => {
  const fail = async (error: Error): Promise<unknown> => {
    const [event] = await read(() => {
      throw error;
    });
    expect(event?.event).toBe("error");
    return JSON.parse(event?.data ?? "null");
  };
  expect(await fail(new PylonError("CARD_DECLINED", "No money."))).toEqual({
    code: "CARD_DECLINED",
    message: "No money.",
    request_id: "r1",
  });
  expect(await fail(new Error("the password is hunter2"))).toEqual({
    code: "INTERNAL",
    message: "An internal error occurred.",
    request_id: "r1",
  });
});

test("a value without a text form ends the call, and later output is discarded", async () => {
  for (const value of [null, undefined, {}, [], () => 1]) {
    const events = await read((stream) => (stream.write as (value: unknown) => void)(value));
    expect(events.map(({ event }) => event)).toEqual(["error"]);
  }
  const left: FunctionStream[] = [];
  expect(await read((stream) => left.push(stream))).toEqual([{ event: "result", data: "1" }]);
  expect(() => left[0]?.write("late")).not.toThrow();
});

test("a client that disconnects aborts the call", async () => {
  const signals: AbortSignal[] = [];
  const { response } = streamCall(
    (stream, signal) =>
      new Promise((_, reject) => {
        signals.push(signal);
        void stream.write("a");
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      }),
    "r1",
  );
  await response.body?.cancel();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
});

const KIB = 1024;
const MIB = 1024 * KIB;
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

test("a write waits until the client reads", async () => {
  let written = 0;
  const { response } = streamCall(async (stream) => {
    for (; written < 1000; written += 1) await stream.write("x".repeat(KIB));
    return encodeResult(written);
  }, "r1");
  await turns();
  const before = written;
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(200);
  const reader = response.body?.getReader();
  for (let read = 0; read < 50; read += 1) await reader?.read();
  await turns();
  expect(written).toBeGreaterThan(before);
  expect(written).toBeLessThan(before + 200);
  let isDone = false;
  while (!isDone) ({ done: isDone = true } = (await reader?.read()) ?? {});
  expect(written).toBe(1000);
});

test("a waiting write rejects when the client disconnects", async () => {
  const ended = Promise.withResolvers<unknown>();
  const { response } = streamCall(async (stream) => {
    try {
      for (;;) await stream.write("x".repeat(KIB));
    } catch (error) {
      ended.resolve(error);
      throw error;
    }
  }, "r1");
  await turns();
  await response.body?.cancel();
  expect(await ended.promise).toMatchObject({ message: "The client disconnected." });
});

test("output beyond the limit of the buffer ends the call", async () => {
  let signal: AbortSignal | undefined;
  let held = 0;
  const { response } = streamCall(async (stream, ofCall) => {
    signal = ofCall;
    while (!ofCall.aborted) {
      void stream.write("x".repeat(100 * KIB));
      held += 100 * KIB;
    }
    return encodeResult(null);
  }, "r1");
  expect(signal?.reason).toMatchObject({ code: "STREAM_TOO_SLOW" });
  expect(held).toBeLessThan(MAX_STREAM_BUFFER + 300 * KIB);
  await expect(response.text()).rejects.toMatchObject({ code: "STREAM_TOO_SLOW" });
});

test("pending writes settle when the call ends", async () => {
  const left: Promise<void>[] = [];
  const { response } = streamCall(async (stream) => {
    left.push(stream.write("x".repeat(500 * KIB)));
    return encodeResult(null);
  }, "r1");
  await Promise.all(left);
  expect((await response.text()).endsWith("event: result\ndata: null\n\n")).toBe(true);
});

test("a large result counts among the bytes in flight, until its client has read it", async () => {
  const clock = new ManualPlatform();
  const transfers = new Transfers(8 * MIB, clock);
  const call = (bytes: number): Response => {
    const run = () => Promise.resolve(encodeResult("x".repeat(bytes)));
    const answer = streamCall(run, "r1");
    answer.count((abort) => transfers.open("ann", abort));
    return answer.response;
  };
  const first = call(1.5 * MIB);
  await turns();
  expect(transfers.total).toBeGreaterThan(1.5 * MIB);
  expect(await call(MIB).text()).toContain("RATE_LIMITED");
  expect(await call(1000).text()).toContain("event: result");
  expect((await first.text()).length).toBeGreaterThan(1.5 * MIB);
  expect(transfers.total).toBe(0);
  const stalled = call(1.5 * MIB);
  await turns();
  clock.advance(STALL_MS);
  expect(transfers.total).toBe(0);
  await expect(stalled.text()).rejects.toMatchObject({ code: "STREAM_TOO_SLOW" });
});

test("a call that writes nothing for long is not aborted", async () => {
  const clock = new ManualPlatform();
  const transfers = new Transfers(8 * MIB, clock);
  const written = Promise.withResolvers<void>();
  const answer = streamCall(async (stream) => {
    await stream.write("x".repeat(200 * KIB));
    await written.promise;
    return encodeResult(null);
  }, "r1");
  answer.count((abort) => transfers.open("ann", abort));
  expect(transfers.total).toBeGreaterThan(200 * KIB);
  const text = answer.response.text();
  await turns();
  expect(transfers.total).toBe(0);
  clock.advance(2 * STALL_MS);
  written.resolve();
  expect(await text).toContain("event: result");
});
