import { wantedEncoding } from "../request/content-encoding.ts";
import { Compressed, ENCODINGS, isCompressible } from "./compressed.ts";

const ONE_YEAR_S = 31_536_000;

/** How a file of the page is served. */
export interface AssetOptions {
  readonly type: string;
  /** The name depends on the content, so the file may be cached forever. */
  readonly immutable: boolean;
  /** A version that changes with the content. */
  readonly version: string;
  /** Whether clients that accept it get it compressed; in dev mode this would slow down saves. */
  readonly compresses: boolean;
}

/** A served file of an app's page. */
export class WebAsset {
  readonly #body: Blob;
  readonly #options: AssetOptions;
  readonly #compressed: Compressed | null;

  constructor(body: Blob, options: AssetOptions) {
    this.#body = body;
    this.#options = options;
    this.#compressed =
      options.compresses && isCompressible(options.type, body.size) ? new Compressed(body) : null;
  }

  async answer(request: Request): Promise<Response> {
    const { type, immutable, version } = this.#options;
    const encoding =
      this.#compressed === null
        ? null
        : wantedEncoding(request.headers.get("accept-encoding"), ENCODINGS);
    const etag = `"${version}${encoding === null ? "" : `-${encoding}`}"`;
    const headers: Record<string, string> = {
      "Content-Type": type,
      "Cache-Control": immutable ? `public, max-age=${ONE_YEAR_S}, immutable` : "no-cache",
      ETag: etag,
      // A cache must not serve one client's encoding to another, including the uncompressed one.
      ...(this.#compressed === null ? {} : { Vary: "Accept-Encoding" }),
      ...(encoding === null ? {} : { "Content-Encoding": encoding }),
    };
    if (isKnown(request.headers.get("if-none-match"), etag)) {
      delete headers["Content-Encoding"];
      return new Response(null, { status: 304, headers });
    }
    const body =
      this.#compressed === null || encoding === null
        ? this.#body
        : await this.#compressed.in(encoding);
    return new Response(body, { headers });
  }
}

/** A proxy that changed the body marks the tag as weak; here it counts as the same. */
function isKnown(ifNoneMatch: string | null, etag: string): boolean {
  return (
    ifNoneMatch !== null &&
    ifNoneMatch.split(",").some((tag) => [etag, `W/${etag}`, "*"].includes(tag.trim()))
  );
}
