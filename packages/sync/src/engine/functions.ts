import * as v from "valibot";
import { Backoff } from "../platform/backoff.ts";
import { isTimeout, isUnreachable, parseAnswer } from "../connection/answer.ts";
import { PylonClientError } from "../connection/errors.ts";
import type { HttpClient } from "../connection/http.ts";
import { toPlain } from "../outbox/plain.ts";
import type { Platform } from "../platform/platform.ts";

const TRIES = 4;
const RETRY_MS = 300;
/** How long a function may take before its answer begins, in milliseconds, as browsers wait. */
const FUNCTION_MS = 300_000;

/**
 * Calls a server function over HTTP. When the network fails, the call is made again under the same
 * key, so a mutation runs once. After a time-out, or a 5xx of a proxy, it is not.
 *
 * @throws PylonClientError when the function or the server refuses; `UNSENDABLE` for arguments that
 *   JSON can't say; `UNREACHABLE`, `TIMED_OUT` or `UNEXPECTED_ANSWER` when the server did not
 *   answer
 * @example
 * await callFunction(http, systemPlatform, "addTodo", { title: "tea" }, crypto.randomUUID());
 */
export async function callFunction(
  http: HttpClient,
  platform: Platform,
  name: string,
  args: unknown,
  key: string,
): Promise<unknown> {
  const backoff = new Backoff(platform, RETRY_MS);
  const plain = toPlain(args);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await http.request(
        "POST",
        `/api/fn/${encodeURIComponent(name)}`,
        plain,
        { "Idempotency-Key": key },
        { timeoutMs: FUNCTION_MS },
      );
    } catch (error) {
      if (!isUnreachable(error) || mayRun(error) || attempt === TRIES) throw error;
      await new Promise<void>((resolve) => platform.after(backoff.next(), resolve));
    }
  }
}

/**
 * Whether the server has the call, it may be, and works on it: its time is up, or a proxy's was. An
 * action that is called again runs again.
 */
function mayRun(error: unknown): boolean {
  const status = error instanceof PylonClientError ? error.body["http_status"] : undefined;
  return isTimeout(error) || (typeof status === "number" && status >= 500);
}

const ErrorSchema = v.looseObject({ code: v.string(), message: v.string() });

/**
 * Calls a function and yields what it streams.
 *
 * @returns the function's result
 * @throws PylonClientError, with the code `STREAM_ENDED` when the network is lost on the way
 * @example
 * for await (const text of streamFunction(http, "count", { to: 3 })) show(text);
 */
export async function* streamFunction(
  http: HttpClient,
  name: string,
  args: unknown,
): AsyncGenerator<string, unknown> {
  const path = `/api/fn/${encodeURIComponent(name)}`;
  const response = await http.open("POST", path, toPlain(args), {}, { timeoutMs: FUNCTION_MS });
  // Few pages read a stream: the parser is loaded by those that do.
  const { createParser } = await import("eventsource-parser");
  const events: { event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => events.push({ event, data }) });
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  for (;;) {
    const reading = reader === undefined ? undefined : http.inTime(FUNCTION_MS, reader.read());
    const chunk = await reading?.catch(() => undefined);
    if (chunk === undefined || chunk.done)
      throw PylonClientError.ofClient("STREAM_ENDED", "The stream ended before its result.");
    parser.feed(decoder.decode(chunk.value, { stream: true }));
    for (const { event, data } of events.splice(0)) {
      if (event === "result") return JSON.parse(data) as unknown;
      if (event === "error")
        throw new PylonClientError(response.status, parseAnswer(ErrorSchema, JSON.parse(data)));
      yield data;
    }
  }
}
