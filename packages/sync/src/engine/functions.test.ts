import { expect, test } from "bun:test";
import { HttpClient } from "../connection/http.ts";
import { systemPlatform } from "../platform/platform.ts";
import { streamFunction } from "./functions.ts";

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
