import { expect, test } from "bun:test";
import { PylonError, STALL_MS } from "@pylonsync/protocol";
import { QueryError } from "@pylonsync/query";
import { assert, asyncProperty, array } from "fast-check";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { bearerToken } from "./bearer.ts";
import { pacedBody, pacedStream } from "./paced-answer.ts";
import { RateLimiter } from "./rate-limit.ts";
import { originOf, pathOf, urlOf } from "./request-url.ts";
import { encodedJson, errorAnswer, json, toPublicError } from "./responses.ts";
import { Transfers, type Transfer } from "./transfers.ts";
import { anyText } from "../../../../tests/support/any-text.ts";

const paced = (transfers: Transfers) => (abort: () => void) => transfers.open("key", abort);

test("a body that is sent in chunks arrives whole, and none is held afterwards", async () => {
  await assert(
    asyncProperty(array(anyText({ maxLength: 200_000 }), { maxLength: 5 }), async (all) => {
      const transfers = new Transfers(1e9, new ManualPlatform(0));
      const pieces = all.values();
      const stream = pacedStream(
        { next: async () => pieces.next() as IteratorResult<string> },
        paced(transfers),
        null,
      );
      expect(await new Response(stream).text()).toBe(
        new TextDecoder("utf-8", { ignoreBOM: true }).decode(
          new TextEncoder().encode(all.join("")),
        ),
      );
      expect(transfers.total).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test("a response is aborted if its reader stalls, and released if it disconnects", async () => {
  const platform = new ManualPlatform(0);
  const transfers = new Transfers(1e9, platform);
  const stalled = pacedBody("x".repeat(200_000), paced(transfers), null).getReader();
  await stalled.read();
  expect(transfers.total).toBeGreaterThan(0);
  platform.advance(STALL_MS);
  expect(stalled.read()).rejects.toThrow("The client stopped reading.");
  expect([transfers.total, transfers.counts.stalled]).toEqual([0, 1]);
  const gone = pacedBody("x".repeat(200_000), paced(transfers), null).getReader();
  await gone.cancel();
  expect([transfers.total, transfers.counts.stalled]).toEqual([0, 1]);
});

test("a response for which there is no room is rejected, and holds nothing", () => {
  const transfers = new Transfers(100, new ManualPlatform(0));
  transfers.open("other", () => undefined).add(90);
  const opened: Transfer[] = [];
  expect(() =>
    pacedBody(
      "x".repeat(50),
      (abort) => {
        const transfer = transfers.open("key", abort);
        opened.push(transfer);
        return transfer;
      },
      null,
    ),
  ).toThrow(PylonError);
  expect(opened.map(({ isOver }) => isOver)).toEqual([true]);
  expect(transfers.total).toBe(90);
});

test("only an error that is meant to be shown is shown", () => {
  const shown = new PylonError("NOT_FOUND", "gone");
  expect(toPublicError(shown)).toBe(shown);
  expect(
    toPublicError(new QueryError("INVALID_QUERY", "no", { field: "a", hint: "b" })),
  ).toMatchObject({ code: "INVALID_QUERY", message: "no", field: "a", hint: "b" });
  expect(toPublicError(Object.assign(new Error("secret"), { code: "ENOENT" }))).toBeUndefined();
  expect(toPublicError("text")).toBeUndefined();
});

test("an error response contains its request id, and when to retry", () => {
  const limited = errorAnswer(
    new PylonError("RATE_LIMITED", "slower", { extra: { retry_after_secs: 7 } }),
    "r-1",
  );
  expect(JSON.parse(limited.text())).toMatchObject({
    error: { code: "RATE_LIMITED", message: "slower", retry_after_secs: 7, request_id: "r-1" },
  });
  expect([limited.status, limited.headers]).toEqual([429, { "Retry-After": "7" }]);
  expect(errorAnswer(new PylonError("UNAUTHORIZED", "no"), "r").headers).toEqual({
    "WWW-Authenticate": "Bearer",
  });
  expect(errorAnswer(new PylonError("UPGRADE_REQUIRED", "no"), "r").headers).toEqual({
    Upgrade: "websocket",
  });
});

test("a response is encoded once, and a body without JSON is an internal error", () => {
  expect(json({ a: 1 }, 201).withHeaders({ X: "1" })).toMatchObject({
    status: 201,
    headers: { X: "1" },
  });
  expect(encodedJson("[1]").withHeaders({}).text()).toBe("[1]");
  expect(() => json(undefined).text()).toThrow("The response has no JSON form.");
});

test("a bearer token is read in any case, and nothing else is one", () => {
  const of = (authorization?: string): string | null =>
    bearerToken(new Headers(authorization === undefined ? {} : { authorization }));
  expect([of("Bearer abc"), of("bearer  abc ")]).toEqual(["abc", "abc"]);
  expect([of(), of("Bearer "), of("Basic abc"), of("Bearerabc")]).toEqual([null, null, null, null]);
});

test("a path is what the client wrote, whatever host it sent", () => {
  for (const [url, path] of [
    ["http://localhost:1/a/b?c=1", "/a/b"],
    ["http://localhost", "/"],
    ["http://no host/a?b", "/a"],
    ["/a?b=http://x/", "/a"],
    ["a", "/a"],
    ["/a/http://x", "/a/http://x"],
  ] as const)
    expect(pathOf(url)).toBe(path);
  const request = new Request("http://localhost:4321/a?b=c");
  expect(urlOf(request).searchParams.get("b")).toBe("c");
  expect(originOf(request)).toBe("http://localhost:4321");
});

test("a limit counts by key, returns when to retry, and may be off", async () => {
  const limiter = new RateLimiter({ max: 2, windowSeconds: 60 });
  await limiter.count(() => "a", 2);
  expect([await limiter.used("a"), await limiter.isFull("a"), await limiter.isFull("b")]).toEqual([
    2,
    true,
    false,
  ]);
  const refused = await limiter.count(() => "a").catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "RATE_LIMITED", message: "More than 2 requests in 60 s." });
  expect(limiter.refused).toBe(1);
  const off = new RateLimiter({ max: 0, windowSeconds: 60 });
  await off.count(() => {
    throw new Error("asked");
  });
  expect([off.isOn, await off.isFull("a")]).toEqual([false, false]);
});
