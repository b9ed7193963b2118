import { isTimeout, isUnreachable } from "../connection/answer.ts";
import { PylonClientError } from "../connection/errors.ts";
import { Backoff } from "../platform/backoff.ts";
import { sendCall, type FunctionRequest } from "./send-call.ts";

const TRIES = 4;
const RETRY_MS = 300;

/**
 * Sends a call, and sends it again if it may not have reached the server.
 *
 * @throws PylonClientError as `callFunction`
 */
export async function callWithRetries(call: FunctionRequest): Promise<unknown> {
  const { http, platform, token } = call;
  const backoff = new Backoff(platform, RETRY_MS);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await sendCall(call);
    } catch (error) {
      http.author.refreshAfter(error);
      if (!isUnreachable(error) || mayRun(error) || attempt === TRIES) throw error;
      await new Promise<void>((resolve) => platform.after(backoff.next(), resolve));
      // Its user has signed out meanwhile: the token may have ended, and nobody waits for it.
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
