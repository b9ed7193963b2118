import { isString, objectOf } from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import { codeNotLoaded, PylonClientError } from "../connection/errors.ts";
import { loadOnline } from "../connection/load-online.ts";
import type { HttpClient } from "../connection/http.ts";
import { functionPath } from "./function-path.ts";
import { FUNCTION_MS, sendCall } from "./send-call.ts";
import { toPlain } from "../outbox/plain.ts";
import type { Platform } from "../platform/platform.ts";

/**
 * Calls a server function over HTTP. After a network failure, the call is retried with the same
 * idempotency key, so that a mutation is executed once. After a timeout, or a 5xx of a proxy, it is
 * not retried.
 *
 * @throws PylonClientError if the function or the server rejects the call; `UNSENDABLE` for
 *   arguments that can't be represented in JSON; `UNREACHABLE`, `TIMED_OUT` or `UNEXPECTED_ANSWER`
 *   without a response of the server
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
  const path = functionPath(http, name);
  const call = { http, platform, path, args: toPlain(args), key, token: http.token };
  // Sent now, while the code that retries it is loaded.
  const first = sendCall(call);
  first.catch(() => undefined);
  const { callWithRetries } = await loadOnline();
  return callWithRetries(call, first);
}

const isError = /* @__PURE__ */ objectOf({ code: isString, message: isString });

/**
 * Calls a function and yields the chunks that it streams.
 *
 * @returns the function's return value
 * @throws PylonClientError, with the code `STREAM_ENDED` if the connection is lost, and
 *   `CODE_NOT_LOADED` if a newer deployment has removed the code that reads the stream
 * @example
 * for await (const text of streamFunction(http, "count", { to: 3 })) show(text);
 */
export async function* streamFunction(
  http: HttpClient,
  name: string,
  args: unknown,
): AsyncGenerator<string, unknown> {
  const path = functionPath(http, name);
  // The parser is loaded on demand, before the call, because few pages read streams.
  const { createParser, inTime } = await import("../connection/extras.ts").catch(
    (cause: unknown) => {
      throw codeNotLoaded(cause);
    },
  );
  const response = await http
    .open("POST", path, toPlain(args), {}, { timeoutMs: FUNCTION_MS })
    .catch((error: unknown) => {
      http.author.refreshAfter(error);
      throw error;
    });
  const events: { event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => events.push({ event, data }) });
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const reading =
        reader === undefined ? undefined : inTime(http.platform, FUNCTION_MS, reader.read());
      const chunk = await reading?.catch(() => undefined);
      if (chunk === undefined || chunk.done)
        throw PylonClientError.ofClient("STREAM_ENDED", "The stream ended before its result.");
      parser.feed(decoder.decode(chunk.value, { stream: true }));
      for (const { event, data } of events.splice(0)) {
        if (event === "result") return JSON.parse(data) as unknown;
        if (event === "error")
          throw new PylonClientError(response.status, parseAnswer(isError, JSON.parse(data)));
        yield data;
      }
    }
  } finally {
    // If the caller stops reading, the connection is closed.
    void reader?.cancel().catch(() => undefined);
  }
}
