import type { Transform } from "node:stream";
import type * as nodeZlib from "node:zlib";
import { bearerToken } from "./bearer.ts";
import { wantedEncoding } from "./content-encoding.ts";

/**
 * Best first. On rows as JSON, level 1 of Zstandard takes half the time of gzip's level 2 and makes
 * a quarter less; Brotli's quality 1 lies between. More effort costs ten times the CPU for a tenth.
 */
const ENCODINGS = ["zstd", "br", "gzip"] as const;
/** How an answer may be compressed. */
export type AnswerEncoding = (typeof ENCODINGS)[number];

/**
 * Below this an answer fits into three packets, and to compress it (20 us) costs as much as to make
 * it.
 */
export const MIN_COMPRESSED_BYTES = 4096;

/**
 * How an API answer to this request may be compressed; null: not at all.
 *
 * The length of what is compressed tells of secrets in it (BREACH): a page that can put its own
 * text beside a secret, has the answer made again and again, and sees lengths on the line, finds it
 * piece by piece. So nothing is compressed
 *
 * - under /api/auth, /api/admin and /studio: tokens and codes are nowhere else;
 * - in an error, which repeats what the caller sent;
 * - for a page of another site that relies on the browser's cookie: only one that knows the token,
 *   or is of this origin, and a client that is not a browser, can have an answer made again;
 * - on sockets and event streams, where what others write is told as it is written; besides, a
 *   socket's own compressor takes 204 KiB and three times the CPU of a message, a shared one 1.8
 *   times, and neither makes much less of a single change.
 *
 * What is left are rows that one caller may read, some of which others wrote. So that a single
 * length tells nothing, an answer is padded at random (see `padding`).
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

/** A header's value of random length. @param random from 0 to below 1 */
export function padding(random: number): string {
  return "0".repeat(1 + Math.floor(random * MAX_PADDING));
}

/** Loaded where it is used first: most servers start without. */
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

/** Compresses what is small: up to 64 KiB take less time than a thread to do it would. */
export function compressNow(text: string, encoding: AnswerEncoding): Uint8Array<ArrayBuffer> {
  const { gzipSync, brotliCompressSync, zstdCompressSync } = zlib();
  if (encoding === "gzip") return gzipSync(text, GZIP);
  const params = paramsOf(encoding);
  return encoding === "br"
    ? brotliCompressSync(text, { params })
    : zstdCompressSync(text, { params });
}

/** Compresses a body piece by piece, on a thread of the runtime's. */
export class Compressor {
  readonly #stream: Transform;
  #made: Uint8Array[] = [];
  /** Tells the call that waits that nothing comes any more. */
  #fail: (error: Error) => void = () => undefined;

  constructor(encoding: AnswerEncoding) {
    this.#stream = open(encoding);
    this.#stream.on("data", (chunk: Uint8Array) => this.#made.push(chunk));
    this.#stream.on("error", (error) => this.#fail(error));
    this.#stream.on("close", () => this.#fail(closed()));
  }

  /** @returns what is made so far, which may be nothing */
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

  /** Lets go of its memory; what is asked of it after that fails. */
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
