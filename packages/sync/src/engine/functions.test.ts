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

test("a call is sent immediately, as the user who makes it", async () => {
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
  const answer = callFunction(http, platform, "pay", {}, "key");
  token = "bob";
  expect(sent).toEqual(["Bearer ann"]);
  expect(await answer).toBe("done");
});
