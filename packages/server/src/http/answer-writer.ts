import { UNCOUNTED_BYTES } from "@pylonsync/protocol";
import type { Log } from "../observe/log.ts";
import { randomFraction, type Platform } from "../platform.ts";
import {
  Compressor,
  compressNow,
  encodingFor,
  MIN_COMPRESSED_BYTES,
  padding,
  type AnswerEncoding,
} from "../request/compression.ts";
import { pacedBody, pacedBytes, pacedStream } from "../request/paced-answer.ts";
import {
  BytesAnswer,
  CountedAnswer,
  JsonAnswer,
  type Answer,
  type AnswerHeaders,
  type StreamAnswer,
} from "../request/responses.ts";
import type { OpenTransfer } from "../request/transfers.ts";
import type { Turns } from "../request/turns.ts";
import type { Origins } from "./origins.ts";

const COMMON_HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "strict-origin-when-cross-origin",
  "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
};

/**
 * Responses under these paths, including errors, contain tokens, codes or personal data: they must
 * not be cached, and they are not compressed.
 */
const NO_STORE_PATHS = ["/api/auth/", "/api/admin/", "/studio/mail", "/studio/session"];

/** The settings and services that an AnswerWriter needs. */
export interface AnswerWriterOptions {
  /** For how long browsers must use only https, in seconds; 0: no header is sent. */
  readonly hstsMaxAge: number;
  readonly origins: Origins;
  readonly log: Log;
  readonly platform: Platform;
}

/** The request that the response is for. */
export interface AnsweredRequest {
  /** Null if it is unknown. */
  readonly request: Request | null;
  readonly requestId: string;
  /** The name of its route, as in metrics. */
  readonly name: string;
}

/**
 * Creates responses, with headers, compression, and bodies that are sent no faster than their
 * readers consume them.
 */
export class AnswerWriter {
  readonly #options: AnswerWriterOptions;
  readonly #turns: Turns;
  readonly #commonHeaders: Readonly<Record<string, string>>;
  /** Created once, and copied by each response: that costs a third of creating another one. */
  readonly #jsonHeaders: Headers;
  /** The same, for a response that another client may receive compressed. */
  readonly #plainHeaders: Headers;
  #isLeaving = false;

  /** @param turns in which a long response is created in chunks, so that other requests can run */
  constructor(options: AnswerWriterOptions, turns: Turns) {
    this.#options = options;
    this.#turns = turns;
    this.#commonHeaders = {
      ...COMMON_HEADERS,
      ...(options.hstsMaxAge > 0
        ? { "Strict-Transport-Security": `max-age=${options.hstsMaxAge}` }
        : {}),
    };
    this.#jsonHeaders = new Headers({
      ...this.#commonHeaders,
      "Content-Type": "application/json; charset=utf-8",
    });
    this.#plainHeaders = new Headers(this.#jsonHeaders);
    setAll(this.#plainHeaders, this.#encodingHeaders(null));
  }

  /** From now on each response asks its client to open a new connection next. */
  beginDrain(): void {
    this.#isLeaving = true;
  }

  /**
   * Creates the response.
   *
   * @param open starts to count a response that waits for its reader; null: it is never rejected
   * @throws PylonError RATE_LIMITED, OVERLOADED when there is no room for it
   */
  write(answer: Answer, asked: AnsweredRequest, open: OpenTransfer | null): Response {
    const { request, requestId, name } = asked;
    const origin = request === null ? null : request.headers.get("origin");
    const cors =
      request === null || origin === null
        ? undefined
        : this.#options.origins.headers(origin, request.headers.get("host"));
    if (answer instanceof JsonAnswer) {
      const response = this.#jsonResponse(answer, asked, open);
      // Reading `headers` creates an object, which most responses don't need.
      if (isSecret(name)) response.headers.set("Cache-Control", "no-store");
      if (this.#isLeaving) response.headers.set("Connection", "close");
      if (cors !== undefined) setAll(response.headers, cors);
      if (answer.headers !== undefined) setAll(response.headers, answer.headers);
      return response;
    }
    const response = this.#responseOf(answer, asked, open);
    setAll(response.headers, {
      ...this.#commonHeaders,
      "X-Request-Id": requestId,
      ...(this.#isLeaving ? { Connection: "close" } : {}),
      ...cors,
    });
    return response;
  }

  #responseOf(
    answer: Exclude<Answer, JsonAnswer>,
    asked: AnsweredRequest,
    open: OpenTransfer | null,
  ): Response {
    if (answer instanceof Response) return answer;
    if (answer instanceof BytesAnswer) {
      const { bytes, init } = answer;
      return new Response(open === null ? bytes : pacedBytes(bytes, open), init);
    }
    if (!(answer instanceof CountedAnswer)) return this.#streamed(answer, asked, open);
    if (open !== null) answer.count(open);
    return answer.response;
  }

  #jsonResponse(
    answer: JsonAnswer,
    { request, requestId, name }: AnsweredRequest,
    open: OpenTransfer | null,
  ): Response {
    const text = answer.text();
    const { status } = answer;
    // A response copies them, so they can be set again for the next one.
    this.#jsonHeaders.set("X-Request-Id", requestId);
    const init = { status, headers: this.#jsonHeaders };
    // Errors have no `open`, and the body of a response to HEAD is never sent.
    if (open === null || request === null || request.method === "HEAD")
      return new Response(text, init);
    const isLarge = text.length > UNCOUNTED_BYTES;
    if (text.length < MIN_COMPRESSED_BYTES || status >= 400 || isSecret(name))
      return new Response(isLarge ? pacedBody(text, open, null) : text, init);
    const encoding = encodingFor(request);
    if (encoding === null) {
      this.#plainHeaders.set("X-Request-Id", requestId);
      return new Response(isLarge ? pacedBody(text, open, null) : text, {
        status,
        headers: this.#plainHeaders,
      });
    }
    const body = isLarge
      ? pacedBody(text, open, new Compressor(encoding))
      : compressNow(text, encoding);
    const response = new Response(body, init);
    setAll(response.headers, this.#encodingHeaders(encoding));
    return response;
  }

  #encodingHeaders(encoding: AnswerEncoding | null): AnswerHeaders {
    return {
      // A cache must not serve one client's encoding to another, including the uncompressed one.
      Vary: "Accept-Encoding",
      ...(encoding === null
        ? {}
        : {
            "Content-Encoding": encoding,
            "X-Padding": padding(randomFraction(this.#options.platform)),
          }),
    };
  }

  #streamed(
    { pieces, contentType }: StreamAnswer,
    { request, requestId, name }: AnsweredRequest,
    open: OpenTransfer | null,
  ): Response {
    const isSent = open !== null && request !== null && request.method !== "HEAD";
    const encoding = isSent && !isSecret(name) ? encodingFor(request) : null;
    const headers = new Headers({ "Content-Type": contentType });
    if (!isSecret(name)) setAll(headers, this.#encodingHeaders(encoding));
    // The runtime cancels a stream for HEAD. Without a body the length would be 0.
    if (!isSent) return new Response(new ReadableStream(), { headers });
    const { log } = this.#options;
    const logged: AsyncIterator<string> = {
      next: async () => {
        await this.#turns.next();
        return pieces.next().catch((error: unknown): never => {
          log.error("response aborted", error, { request_id: requestId });
          throw error;
        });
      },
    };
    const compressor = encoding === null ? null : new Compressor(encoding);
    return new Response(pacedStream(logged, open, compressor), { headers });
  }
}

/** Whether a route's responses may contain tokens or codes. */
function isSecret(name: string): boolean {
  for (const start of NO_STORE_PATHS) if (name.startsWith(start)) return true;
  return false;
}

function setAll(headers: Headers, values: AnswerHeaders): void {
  for (const [name, value] of Object.entries(values)) {
    // The values of Vary are combined.
    if (typeof value === "string" && name !== "Vary") headers.set(name, value);
    else for (const item of [value].flat()) headers.append(name, item);
  }
}
