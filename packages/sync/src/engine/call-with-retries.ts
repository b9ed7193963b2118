import { isTimeout, isUnreachable } from "../connection/answer.ts";
import { PylonClientError } from "../connection/errors.ts";
import type { HttpClient } from "../connection/http.ts";
import { Backoff } from "../platform/backoff.ts";
import type { Platform } from "../platform/platform.ts";
import { FUNCTION_MS } from "./function-timeout.ts";

const TRIES = 4;
const RETRY_MS = 300;

/**
 * Calls a server function, like `callFunction`.
 *
 * @param path the function's path, which names the caller
 * @param args as JSON represents them
 */
export async function callWithRetries(
  http: HttpClient,
  platform: Platform,
  path: string,
  args: unknown,
  key: string,
): Promise<unknown> {
  const backoff = new Backoff(platform, RETRY_MS);
  const { token, author } = http;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await http.request(
        "POST",
        path,
        args,
        { "Idempotency-Key": key },
        { timeoutMs: FUNCTION_MS },
      );
    } catch (error) {
      author.refreshAfter(error);
      if (!isUnreachable(error) || mayRun(error) || attempt === TRIES) throw error;
      await new Promise<void>((resolve) => platform.after(backoff.next(), resolve));
      // A retry would be the call of the user who has signed in meanwhile.
      if (http.token !== token) throw error;
    }
  }
}

/**
 * Whether the server may still be running the call, because the request or a proxy timed out.
 * Retrying would run an action twice.
 */
function mayRun(error: unknown): boolean {
  const status = error instanceof PylonClientError ? error.body["http_status"] : undefined;
  return isTimeout(error) || (typeof status === "number" && status >= 500);
}
