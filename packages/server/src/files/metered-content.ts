import { PylonError } from "@pylonsync/protocol";

/** What content must keep to while it comes in. */
export interface ContentRules {
  /** Bytes. */
  readonly maxBytes: number;
  /** Bytes that were announced, when they were. */
  readonly size?: number | null;
  /** SHA-256 in hex that was announced, when it was. */
  readonly checksum?: string | null;
}

/**
 * Content on its way into the storage: counted, hashed, and stopped where it breaks its rules. It
 * breaks before the storage has seen its end, so that nothing is stored of it.
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

  /** Bytes that came through so far. */
  get size(): number {
    return this.#size;
  }
  /** SHA-256 in hex, once all came through. */
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
