import { MAX_FETCH_BYTES } from "@pylonsync/protocol";
import type { FnFetch } from "@pylonsync/functions";
import { reasonOf } from "../observe/operation.ts";

/**
 * Sends a request without following redirects. Outside of dev mode, only https URLs of public
 * addresses are allowed.
 */
export type Fetch = (url: URL, init: BunFetchRequestInit) => Promise<Response>;

/**
 * Called when a request is sent to a host.
 *
 * @returns a callback for the end of the request: null, or the reason of its failure
 */
export type OnFetch = (host: string, method: string) => (failure: string | null) => void;

/** A function requested a URL that is not allowed, or received a response that is too large. */
export class FetchError extends Error {
  override readonly name = "FetchError";
}

/**
 * Creates `ctx.fetch`, which sends HTTP requests until the call ends. The response body is
 * streamed, and its size is bounded.
 *
 * @param call its signal is only accessed when a request is sent
 */
export function functionFetch(
  sendRequest: Fetch,
  call: { readonly signal: AbortSignal },
  onFetch: OnFetch,
): FnFetch {
  return async (input, init = {}) => {
    const { signal } = call;
    const url = new URL(input);
    if (url.protocol !== "https:" && url.protocol !== "http:")
      throw new FetchError(`ctx.fetch only supports http and https, not ${url.protocol}`);
    const own = init.signal ?? undefined;
    const options = {
      ...init,
      redirect: "manual" as const,
      signal: own === undefined ? signal : AbortSignal.any([signal, own]),
    };
    const ended = onFetch(url.host, init.method ?? "GET");
    try {
      const answer = await sendRequest(url, options);
      ended(null);
      return bounded(answer, url.host);
    } catch (error) {
      ended(reasonOf(error));
      throw error;
    }
  };
}

/** Returns the response with a body that fails if it is too large. */
function bounded(answer: Response, host: string): Response {
  if (answer.body === null) return answer;
  let size = 0;
  const limit = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      size += chunk.length;
      if (size <= MAX_FETCH_BYTES) controller.enqueue(chunk);
      else
        controller.error(
          new FetchError(`The response of ${host} has more than ${MAX_FETCH_BYTES} bytes.`),
        );
    },
  });
  const headers = new Headers(answer.headers);
  // The body is already decoded.
  headers.delete("content-encoding");
  headers.delete("content-length");
  return new Response(answer.body.pipeThrough(limit), {
    status: answer.status,
    statusText: answer.statusText,
    headers,
  });
}
