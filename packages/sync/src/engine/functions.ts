import { codeNotLoaded } from "../connection/errors.ts";
import { loadOnline } from "../connection/load-online.ts";
import type { HttpClient } from "../connection/http.ts";
import { functionPath } from "./function-path.ts";
import { toPlain } from "../outbox/plain.ts";
import { inLoadTime } from "../platform/load-code.ts";
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
  // The code is loaded before the call: a page that can't load it must not report a call as failed
  // that has run.
  const { callWithRetries } = await loadOnline(platform);
  return callWithRetries(call);
}

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
  const call = { http, path, args: toPlain(args), token: http.token };
  // The code is loaded on demand, before the call, because few pages read streams.
  const loading = inLoadTime(http.platform, import("../connection/extras.ts"));
  const { callAndRead } = await loading.catch((cause: unknown) => {
    throw codeNotLoaded(cause);
  });
  return yield* callAndRead(call);
}
