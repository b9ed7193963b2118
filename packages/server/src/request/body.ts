import { BODY_LIMITS, PylonError, UNCOUNTED_BYTES, type BodyLimit } from "@pylonsync/protocol";
import { JsonScan, scanJson } from "./json-scan.ts";
import type { Transfer, Transfers } from "./transfers.ts";

/**
 * The bounds of a request's body: its route's limit, and the bytes that all callers have in flight.
 */
export interface BodyBounds {
  readonly limit: BodyLimit;
  readonly transfers: Transfers;
  /** Returns the key of the sender; called only for a large body. */
  readonly key: () => string;
}

/** What is read: JSON, a text, or a text from which the bytes can be restored. */
type Reading = "json" | "text" | "exact";

/** The body of one request. The bytes that it holds are counted until it is disposed. */
export class RequestBody implements Disposable {
  readonly #request: Request;
  readonly #bounds: BodyBounds;
  #transfer: Transfer | undefined;

  constructor(request: Request, bounds: BodyBounds) {
    this.#request = request;
    this.#bounds = bounds;
  }

  /** @throws PylonError PAYLOAD_TOO_LARGE, RATE_LIMITED, OVERLOADED */
  text(): Promise<string> {
    return this.#read("text", unchanged);
  }

  /**
   * The text whose UTF-8 is the body, with a byte order mark that it may begin with.
   *
   * @throws PylonError PAYLOAD_TOO_LARGE, RATE_LIMITED, OVERLOADED
   */
  exactText(): Promise<string> {
    return this.#read("exact", unchanged);
  }

  /**
   * The text of a JSON body, for `parseScanned`.
   *
   * @param use called with the text when it is complete. A promise of the text before it would add
   *   to the cost of each small request.
   * @returns what `use` returns
   * @throws PylonError INVALID_JSON for text that nests too deep or has too many values,
   *   PAYLOAD_TOO_LARGE, RATE_LIMITED, OVERLOADED
   */
  jsonText<T>(use: (text: string) => T | Promise<T>): Promise<T> {
    return this.#read("json", use);
  }

  [Symbol.dispose](): void {
    this.#transfer?.[Symbol.dispose]();
  }

  #read<T>(as: Reading, use: (text: string) => T | Promise<T>): Promise<T> {
    const request = this.#request;
    const limit = BODY_LIMITS[this.#bounds.limit];
    const length = request.headers.get("content-length");
    if (Number(length ?? 0) > limit) return Promise.reject(tooLarge(limit));
    // The content length is a body's maximum size; that of a chunked one is known only at its end.
    if ((length !== null && Number(length) <= UNCOUNTED_BYTES) || request.body === null)
      return this.#readWhole(as, use);
    return this.#readLarge(request.body.getReader(), limit, as).then(use);
  }

  #readWhole<T>(as: Reading, use: (text: string) => T | Promise<T>): Promise<T> {
    return this.#request.bytes().then(
      (bytes) => {
        const text = decoded(bytes, as);
        if (as === "json") scanJson(text);
        return use(text);
      },
      () => {
        throw cutOff();
      },
    );
  }

  /** Reads in chunks: a body with an invalid structure is rejected before the rest arrives. */
  async #readLarge(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    limit: number,
    as: Reading,
  ): Promise<string> {
    const scan = as === "json" ? new JsonScan() : undefined;
    const chunks: Uint8Array[] = [];
    let size = 0;
    const { transfers, key } = this.#bounds;
    const transfer = transfers.open(key(), () => void reader.cancel().catch(() => undefined));
    this.#transfer = transfer;
    try {
      for (;;) {
        const { done, value } = await reader.read().catch((): never => {
          throw cutOff();
        });
        if (transfer.isOver) throw stalled();
        if (done) break;
        size += value.length;
        if (size > limit) throw tooLarge(limit);
        transfer.add(value.length);
        scan?.bytes(value);
        chunks.push(value);
      }
    } catch (error) {
      void reader.cancel().catch(() => undefined);
      throw error;
    }
    transfer.arrived();
    return decoded(Buffer.concat(chunks), as);
  }
}

function unchanged(text: string): string {
  return text;
}

const decoder = new TextDecoder("utf-8", { fatal: true });
/** Keeps a byte order mark. */
const exactDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * @throws PylonError INVALID_DATA: replacement characters would be stored as if they had been sent
 */
function decoded(bytes: Uint8Array, as: Reading): string {
  try {
    return (as === "exact" ? exactDecoder : decoder).decode(bytes);
  } catch {
    throw new PylonError("INVALID_DATA", "The body is not valid UTF-8.", {
      hint: "Encode it as UTF-8, even if the Content-Type header names another charset.",
    });
  }
}

/**
 * @throws PylonError INVALID_JSON for text that is not JSON, is too deep or has too many values
 */
export function parseJson(text: string): unknown {
  scanJson(text);
  return parseScanned(text);
}

/**
 * @param text whose depth and number of values were checked before
 * @throws PylonError INVALID_JSON
 */
export function parseScanned(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PylonError(
      "INVALID_JSON",
      `The body is not valid JSON${error instanceof SyntaxError ? `: ${error.message}` : ""}.`,
      {
        hint: "Send JSON with the header Content-Type: application/json.",
      },
    );
  }
}

/** The error for a client that disconnects before the end of its body. */
export function cutOff(): PylonError {
  return new PylonError("INVALID_DATA", "The request body was cut off.");
}

function stalled(): PylonError {
  return new PylonError(
    "OVERLOADED",
    "The body was sent too slowly while the server was short of memory.",
    {
      hint: "Send the request again.",
      extra: { retry_after_secs: 1 },
    },
  );
}

/** @param limit the number of bytes that the route accepts */
function tooLarge(limit: number): PylonError {
  if (limit === 0) return new PylonError("PAYLOAD_TOO_LARGE", "This request must not have a body.");
  const size = limit < 1024 * 1024 ? `${limit / 1024} KiB` : `${limit / 1024 / 1024} MiB`;
  return new PylonError("PAYLOAD_TOO_LARGE", `The body is larger than ${size}.`, {
    hint: "See docs/limits.md for the limit of each route.",
  });
}
