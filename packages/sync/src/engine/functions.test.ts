import { getEventListeners } from "node:events";
import { expect, test } from "bun:test";
import { HttpClient } from "../connection/http.ts";
import { systemPlatform } from "../platform/platform.ts";
import { callFunction, streamFunction } from "./functions.ts";

test("a caller that stops reading a stream closes its connection", async () => {
  const closed = Promise.withResolvers<string>();
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode("data: tick\n\n")),
    cancel: () => closed.resolve("closed"),
  });
  const headers = { "Content-Type": "text/event-stream" };
  const platform = {
    ...systemPlatform,
    fetch: () => Promise.resolve(new Response(body, { headers })),
  };
  const http = new HttpClient("http://server", platform, () => null);
  for await (const text of streamFunction(http, "ticks", {})) {
    expect(text).toBe("tick");
    break;
  }
  expect(await closed.promise).toBe("closed");
});

test("a call that was lost is repeated, but not as a user who has signed in since", async () => {
  let token = "ann";
  const sent: (string | null)[] = [];
  const called = (next: string): Promise<unknown> => {
    const platform = {
      ...systemPlatform,
      after: (ms: number, run: () => void) => {
        // Longer timers are timeouts for the response.
        if (ms > 1_000) return () => undefined;
        token = next;
        queueMicrotask(run);
        return () => undefined;
      },
      fetch: (_url: string, { headers }: RequestInit) => {
        sent.push(new Headers(headers).get("Authorization"));
        if (sent.length === 1) return Promise.reject(new TypeError("Failed to fetch"));
        return Promise.resolve(Response.json("done"));
      },
    };
    const http = new HttpClient("http://server", platform, () => token);
    return callFunction(http, platform, "pay", {}, "key");
  };
  expect([await called("ann"), sent.splice(0)]).toEqual(["done", ["Bearer ann", "Bearer ann"]]);
  await expect(called("bob")).rejects.toMatchObject({ code: "UNREACHABLE" });
  expect(sent).toEqual(["Bearer ann"]);
});

test("a call is made as its user, also if another signs in while code is loaded", async () => {
  let token = "ann";
  const sent: (string | null)[] = [];
  const platform = {
    ...systemPlatform,
    fetch: (_url: string, { headers }: RequestInit) => {
      sent.push(new Headers(headers).get("Authorization"));
      return Promise.resolve(Response.json("done"));
    },
  };
  const http = new HttpClient("http://server", platform, () => token);
  expect(await callFunction(http, platform, "pay", {}, "key")).toBe("done");
  expect(sent.splice(0)).toEqual(["Bearer ann"]);
  const call = callFunction(http, platform, "pay", {}, "key");
  token = "bob";
  expect(await call).toBe("done");
  expect(sent).toEqual(["Bearer ann"]);
});

test("a streamed call asks for a stream, and is made as its user", async () => {
  let token = "ann";
  const sent: (string | null)[] = [];
  const platform = {
    ...systemPlatform,
    fetch: (_url: string, init: RequestInit) => {
      const headers = new Headers(init.headers);
      sent.push(headers.get("Authorization"), headers.get("Accept"));
      const type = { headers: { "Content-Type": "text/event-stream" } };
      return Promise.resolve(new Response("event: result\ndata: 1\n\n", type));
    },
  };
  const http = new HttpClient("http://server", platform, () => token);
  expect(await streamFunction(http, "pay", {}).next()).toEqual({ done: true, value: 1 });
  expect(sent.splice(0)).toEqual(["Bearer ann", "text/event-stream"]);
  const first = streamFunction(http, "pay", {}).next();
  token = "bob";
  expect(await first).toEqual({ done: true, value: 1 });
  expect(sent).toEqual(["Bearer ann", "text/event-stream"]);
});

test("a request that was cancelled before is not sent", async () => {
  let requests = 0;
  const platform = {
    ...systemPlatform,
    fetch: (_url: string, { signal }: RequestInit) => {
      if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
      requests += 1;
      return Promise.resolve(Response.json(1));
    },
  };
  const http = new HttpClient("http://server", platform, () => null);
  const options = { signal: AbortSignal.abort() };
  const answer = http.request("POST", "/api/sync/push", {}, {}, options);
  await expect(answer).rejects.toMatchObject({ code: "UNREACHABLE" });
  expect(requests).toBe(0);
});

test("a signal that outlives requests keeps nothing of them, but ends their streams", async () => {
  const signals: AbortSignal[] = [];
  const platform = {
    ...systemPlatform,
    fetch: (url: string, { signal }: RequestInit) => {
      if (signal) signals.push(signal);
      const type = { "Content-Type": url.endsWith("stream") ? "text/event-stream" : "text/html" };
      return Promise.resolve(new Response("", { headers: type }));
    },
  };
  const http = new HttpClient("http://server", platform, () => null);
  const abort = new AbortController();
  const options = { signal: abort.signal };
  for (let poll = 0; poll < 3; poll += 1)
    await http.request("GET", "/poll", undefined, {}, options).catch(() => undefined);
  expect(getEventListeners(abort.signal, "abort")).toEqual([]);
  await http.open("GET", "/stream", undefined, {}, options);
  abort.abort();
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false, true]);
});
