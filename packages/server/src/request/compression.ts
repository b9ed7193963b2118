import type { Transform } from "node:stream";
import type * as nodeZlib from "node:zlib";
import { bearerToken } from "./bearer.ts";
import { wantedEncoding } from "./content-encoding.ts";

/**
 * Best first. On rows as JSON, level 1 of Zstandard takes half the time of gzip's level 2 and makes
 * a quarter less; Brotli's quality 1 is in between. Higher levels cost ten times the CPU for a
 * tenth.
 */
const ENCODINGS = ["zstd", "br", "gzip"] as const;
/** The encodings with which a response may be compressed. */
export type AnswerEncoding = (typeof ENCODINGS)[number];

/**
 * Below this size a response fits into three packets, and compressing it (20 us) costs as much as
 * creating it.
 */
export const MIN_COMPRESSED_BYTES = 4096;

/**
 * Returns how an API response to this request may be compressed; null: not at all.
 *
 * The length of compressed data reveals secrets in it (BREACH): a page that can put its own text
 * next to a secret, repeat the request many times, and observe the lengths on the network, can find
 * the secret piece by piece. So the following is not compressed:
 *
 * - responses under /api/auth, /api/admin, /studio/mail and /studio/session: tokens and codes are
 *   nowhere else;
 * - errors, which repeat what the caller sent;
 * - responses to a page of another site that relies on the browser's cookie: so only a page that
 *   knows the token or is of this origin, or a client other than a browser, can repeat it;
 * - sockets and event streams, which send the writes of others as they happen. In addition, a
 *   compressor per socket takes 204 KiB and three times the CPU of a message, a shared one 1.8
 *   times, and neither makes a single change much smaller.
 *
 * The remaining responses contain rows that one caller may read, some of which others wrote. Random
 * padding (see `padding`) prevents a single length from revealing anything.
 */
export function encodingFor({ headers }: Request): AnswerEncoding | null {
  const encoding = wantedEncoding(headers.get("accept-encoding"), ENCODINGS);
  if (encoding === null) return null;
  const site = headers.get("sec-fetch-site");
  const isOwn =
    bearerToken(headers) !== null ||
    site === "same-origin" ||
    (site === null && !headers.has("cookie"));
  return isOwn ? encoding : null;
}

const MAX_PADDING = 128;

/** Returns a header value of random length. @param random from 0 to below 1 */
export function padding(random: number): string {
  return "0".repeat(1 + Math.floor(random * MAX_PADDING));
}

/** Loaded on first use: most servers start without it. */
function zlib(): typeof nodeZlib {
  return process.getBuiltinModule("node:zlib");
}

function paramsOf(encoding: "zstd" | "br"): Record<number, number> {
  const { constants } = zlib();
  return encoding === "zstd"
    ? { [constants.ZSTD_c_compressionLevel]: 1 }
    : { [constants.BROTLI_PARAM_QUALITY]: 1 };
}

const GZIP = { level: 2 };

/** Compresses a short text synchronously: up to 64 KiB take less time than a thread would. */
export function compressNow(text: string, encoding: AnswerEncoding): Uint8Array<ArrayBuffer> {
  const { gzipSync, brotliCompressSync, zstdCompressSync } = zlib();
  if (encoding === "gzip") return gzipSync(text, GZIP);
  const params = paramsOf(encoding);
  return encoding === "br"
    ? brotliCompressSync(text, { params })
    : zstdCompressSync(text, { params });
}

/** Compresses a body in chunks, on a thread of the runtime. */
export class Compressor {
  readonly #stream: Transform;
  #made: Uint8Array[] = [];
  /** Rejects the pending call when there will be no more data. */
  #fail: (error: Error) => void = () => undefined;

  constructor(encoding: AnswerEncoding) {
    this.#stream = open(encoding);
    this.#stream.on("data", (chunk: Uint8Array) => this.#made.push(chunk));
    this.#stream.on("error", (error) => this.#fail(error));
    this.#stream.on("close", () => this.#fail(closed()));
  }

  /** @returns the output so far, which may be empty */
  add(bytes: Uint8Array): Promise<Uint8Array> {
    return this.#madeBy((done) => {
      this.#stream.write(bytes, (error) => {
        if (!error) done();
      });
    });
  }

  /** @returns the rest */
  end(): Promise<Uint8Array> {
    return this.#madeBy((done) => {
      this.#stream.once("end", done);
      this.#stream.end();
    });
  }

  /** Releases its memory; later calls fail. */
  close(): void {
    this.#stream.destroy();
  }

  async #madeBy(work: (done: () => void) => void): Promise<Uint8Array> {
    if (this.#stream.destroyed) throw closed();
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      work(resolve);
    });
    const made = this.#made;
    this.#made = [];
    return made.length === 1 && made[0] !== undefined ? made[0] : Buffer.concat(made);
  }
}

function closed(): Error {
  return new Error("The compressor was closed.");
}

function open(encoding: AnswerEncoding): Transform {
  const { createGzip, createBrotliCompress, createZstdCompress } = zlib();
  if (encoding === "gzip") return createGzip(GZIP);
  const params = paramsOf(encoding);
  return encoding === "br" ? createBrotliCompress({ params }) : createZstdCompress({ params });
}
