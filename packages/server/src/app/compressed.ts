/** Best first: if the client prefers both equally, it gets the smaller response. */
export const ENCODINGS = ["br", "gzip"] as const;
type Encoding = (typeof ENCODINGS)[number];

/** Below this, the headers cost more than compression saves. */
const MIN_BYTES = 1024;
/** Compressed contents are held in memory. */
const MAX_BYTES = 16 * 1024 * 1024;
/**
 * The best quality, 11, takes 25 times as long for a twelfth less, and a visitor would wait for it
 * on a small container.
 */
const BROTLI_QUALITY = 7;
const TEXTS = [
  /^text\//,
  /^application\/(javascript|json|manifest\+json|xml|wasm|xhtml\+xml|rss\+xml|atom\+xml)/,
  /^image\/(svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)/,
  /^font\/(ttf|otf)/,
];

async function compress(bytes: Uint8Array, encoding: Encoding): Promise<Uint8Array<ArrayBuffer>> {
  const { brotliCompress, constants, gzip } = await import("node:zlib");
  const { promisify } = await import("node:util");
  if (encoding === "gzip") return promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION });
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  return promisify(brotliCompress)(bytes, { params });
}

/** Whether content of this type and size gets smaller. */
export function isCompressible(type: string, size: number): boolean {
  return size >= MIN_BYTES && size <= MAX_BYTES && TEXTS.some((kind) => kind.test(type));
}

/** A body in the requested encodings, each compressed once. */
export class Compressed {
  readonly #body: Blob;
  readonly #encoded = new Map<Encoding, Promise<Blob>>();

  constructor(body: Blob) {
    this.#body = body;
  }

  /** A Blob, because a response copies bytes: each slow reader would hold a copy. */
  in(encoding: Encoding): Promise<Blob> {
    const known = this.#encoded.get(encoding);
    if (known !== undefined) return known;
    const encoded = this.#body
      .bytes()
      .then(async (bytes) => new Blob([await compress(bytes, encoding)]));
    this.#encoded.set(encoding, encoded);
    encoded.catch(() => this.#encoded.delete(encoding));
    return encoded;
  }
}
