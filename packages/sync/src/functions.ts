import { createParser } from "eventsource-parser";
import * as v from "valibot";
import { Backoff } from "./backoff.ts";
import { PylonClientError } from "./errors.ts";
import { isUnreachable, type HttpClient } from "./http.ts";
import type { Platform } from "./platform.ts";

const TRIES = 4;
const RETRY_MS = 300;

/**
 * Calls a server function over HTTP. When the network fails, the call is made again under the same
 * key, so a mutation runs once.
 *
 * @throws PylonClientError when the function or the server refuses; with the code `UNREACHABLE`
 *   when the server can't be reached
 */
export async function callFunction(
  http: HttpClient,
  platform: Platform,
  name: string,
  args: unknown,
  key: string,
): Promise<unknown> {
  const backoff = new Backoff(platform, RETRY_MS);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await http.request("POST", `/api/fn/${encodeURIComponent(name)}`, args, {
        "Idempotency-Key": key,
      });
    } catch (error) {
      if (!isUnreachable(error) || attempt === TRIES) throw error;
      await new Promise<void>((resolve) => platform.after(backoff.next(), resolve));
    }
  }
}

const ErrorSchema = v.looseObject({ code: v.string(), message: v.string() });

/**
 * Calls a function and yields what it streams.
 *
 * @returns the function's result
 * @throws PylonClientError, with the code `STREAM_ENDED` when the network is lost on the way
 */
export async function* streamFunction(
  http: HttpClient,
  name: string,
  args: unknown,
): AsyncGenerator<string, unknown> {
  const response = await http.open("POST", `/api/fn/${encodeURIComponent(name)}`, args, {
    Accept: "text/event-stream",
  });
  const events: { event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => events.push({ event, data }) });
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  for (;;) {
    const chunk = await reader?.read().catch(() => undefined);
    if (chunk === undefined || chunk.done)
      throw PylonClientError.ofClient("STREAM_ENDED", "The stream ended before its result.");
    parser.feed(decoder.decode(chunk.value, { stream: true }));
    for (const { event, data } of events.splice(0)) {
      if (event === "result") return JSON.parse(data) as unknown;
      if (event === "error")
        throw new PylonClientError(response.status, v.parse(ErrorSchema, JSON.parse(data)));
      yield data;
    }
  }
}
