import { BODY_LIMITS, PylonError, UNCOUNTED_BYTES } from "@pylonsync/protocol";
import { cutOff } from "../request/body.ts";
import type { EndpointCall } from "../request/endpoint.ts";
import { originOf, targetOf } from "../request/request-url.ts";
import type { Transfer } from "../request/transfers.ts";

/** The default maximum size of an HTTP function's request body, in bytes. */
const DEFAULT_BYTES = BODY_LIMITS.rows;

/** A request with a bounded body. The bytes received are counted until it is disposed. */
export class BoundedRequest implements Disposable {
  /** Its URL is absolute, as handlers expect it, also if the client names no host. */
  readonly request: Request;
  #transfer: Transfer | undefined;

  /**
   * @throws PylonError PAYLOAD_TOO_LARGE if the Content-Length exceeds the limit, INVALID_DATA when
   *   the Host header is not a host
   */
  constructor(
    { request, bodies, key }: Pick<EndpointCall, "request" | "bodies" | "key">,
    limit: number = DEFAULT_BYTES,
  ) {
    const length = request.headers.get("content-length");
    if (Number(length ?? 0) > limit) throw tooLarge(limit);
    // A body with a Content-Length is never longer than that.
    const isSmall = length !== null && Number(length) <= UNCOUNTED_BYTES;
    const url = absoluteUrlOf(request);
    if (isSmall || request.body === null) {
      this.request = url === request.url ? request : new Request(url, request);
      return;
    }
    const reader = request.body.getReader();
    const end = (): void => void reader.cancel().catch(() => undefined);
    const transfer = bodies.open(key(), end);
    this.#transfer = transfer;
    this.request = new Request(url, {
      method: request.method,
      headers: request.headers,
      signal: request.signal,
      body: counted(reader, transfer, limit),
    });
  }

  [Symbol.dispose](): void {
    this.#transfer?.[Symbol.dispose]();
  }
}

function counted(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  transfer: Transfer,
  limit: number,
): ReadableStream<Uint8Array> {
  let size = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read().catch((): never => {
          throw cutOff();
        });
        if (done) {
          transfer.arrived();
          controller.close();
          return;
        }
        size += value.length;
        if (size > limit) {
          void reader.cancel().catch(() => undefined);
          throw tooLarge(limit);
        }
        transfer.add(value.length);
        controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** Requests of HTTP/1.0 need no Host header. */
function absoluteUrlOf(request: Request): string {
  if (URL.canParse(request.url)) return request.url;
  const host = request.headers.has("host") ? originOf(request) : "http://localhost";
  return host + targetOf(request.url);
}

function tooLarge(limit: number): PylonError {
  return new PylonError("PAYLOAD_TOO_LARGE", `The body is larger than ${limit} bytes.`, {
    hint: "Set maxBodyBytes in the HTTP function to accept larger bodies.",
  });
}
