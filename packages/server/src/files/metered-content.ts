import { PylonError } from "@pylonsync/protocol";

/** The rules that incoming content must meet. */
export interface ContentRules {
  /** The maximum size in bytes. */
  readonly maxBytes: number;
  /** The announced size in bytes, if any. */
  readonly size?: number | null;
  /** The announced SHA-256 in hex, if any. */
  readonly checksum?: string | null;
}

/**
 * Counts and hashes content on its way into the storage, and stops it if it breaks its rules. The
 * error is thrown before the storage has seen the end, so that nothing is stored.
 */
export class MeteredContent implements AsyncIterable<Uint8Array> {
  readonly #content: AsyncIterable<Uint8Array>;
  readonly #rules: ContentRules;
  readonly #hash = new Bun.CryptoHasher("sha256");
  #size = 0;
  #checksum = "";

  constructor(content: AsyncIterable<Uint8Array>, rules: ContentRules) {
    this.#content = content;
    this.#rules = rules;
  }

  /** The number of bytes read so far. */
  get size(): number {
    return this.#size;
  }
  /** SHA-256 in hex, after all of it was read. */
  get checksum(): string {
    return this.#checksum;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const { maxBytes, size = null, checksum = null } = this.#rules;
    for await (const chunk of this.#content) {
      this.#size += chunk.length;
      if (this.#size > maxBytes) throw tooLarge(maxBytes);
      if (size !== null && this.#size > size) throw wrongSize(size);
      this.#hash.update(chunk);
      yield chunk;
    }
    if (size !== null && this.#size !== size) throw wrongSize(size);
    this.#checksum = this.#hash.digest("hex");
    if (checksum !== null && checksum !== this.#checksum) {
      throw new PylonError("CHECKSUM_MISMATCH", "The content does not match the checksum.", {
        hint: "Send the SHA-256 of the content in hex.",
      });
    }
  }
}

/** @param maxBytes the limit */
export function tooLarge(maxBytes: number): PylonError {
  return new PylonError("PAYLOAD_TOO_LARGE", `A file may have at most ${maxBytes} bytes.`);
}

function wrongSize(size: number): PylonError {
  return new PylonError(
    "INVALID_DATA",
    `The content does not have the ${size} bytes that were announced.`,
    { field: "size" },
  );
}
