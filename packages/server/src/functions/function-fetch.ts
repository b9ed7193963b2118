import { MAX_FETCH_BYTES } from "@pylonsync/protocol";
import type { FnFetch } from "@pylonsync/functions";
import { reasonOf } from "../observe/operation.ts";

/**
 * Asks a URL, and follows no redirect. Where the server is not in dev mode it refuses what is not
 * https at a public address.
 */
export type Ask = (url: URL, init: BunFetchRequestInit) => Promise<Response>;

/** Told that a host is asked. @returns to be told how it ended: null, or why it failed */
export type OnFetch = (host: string, method: string) => (failure: string | null) => void;

/** A function asked for what it may not reach, or was sent too much. */
export class FetchError extends Error {
  override readonly name = "FetchError";
}

/**
 * `ctx.fetch`: asks others over HTTP until the call ends. The answer's body is bounded, and comes
 * as it is read.
 *
 * @param call its signal is asked for when something is fetched
 */
export function functionFetch(
  ask: Ask,
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
      const answer = await ask(url, options);
      ended(null);
      return bounded(answer, url.host);
    } catch (error) {
      ended(reasonOf(error));
      throw error;
    }
  };
}

/** The same answer, whose body breaks off when it is too large. */
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
  // The body is decoded by now.
  headers.delete("content-encoding");
  headers.delete("content-length");
  return new Response(answer.body.pipeThrough(limit), {
    status: answer.status,
    statusText: answer.statusText,
    headers,
  });
}
