import { PylonError } from "@pylonsync/protocol";
import { normaliseContentType } from "./content-type.ts";
import { cleanFileName, decodeFileName } from "./file-name.ts";

/** A file that is being received. `content` can be read once, as fast as it is stored. */
export interface IncomingFile {
  readonly name: string;
  readonly contentType: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** The maximum size of the content in bytes, if it is known. */
  readonly maxBytes?: number | undefined;
}

/**
 * The file in an upload: the first one of a form, or the body itself.
 *
 * @throws PylonError INVALID_MULTIPART
 */
export async function incomingFile(request: Request): Promise<IncomingFile> {
  const type = request.headers.get("content-type");
  const length = request.headers.get("content-length");
  const maxBytes = length === null ? undefined : Number(length);
  if (type !== null && /^multipart\//i.test(type)) {
    const { readMultipart } = await import("./multipart.ts");
    return { ...(await readMultipart(type, bodyOf(request))), maxBytes };
  }
  return {
    name: cleanFileName(decodeFileName(request.headers.get("x-filename") ?? "")),
    contentType: normaliseContentType(type),
    content: bodyOf(request),
    maxBytes,
  };
}

/**
 * The body, chunk by chunk.
 *
 * @param signal ends it, even while no data arrives
 * @throws PylonError INVALID_DATA if the client disconnects; the signal's reason
 */
export async function* bodyOf(request: Request, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  const end = (): void => void reader.cancel().catch(() => undefined);
  signal?.addEventListener("abort", end, { once: true });
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read().catch((): never => {
        throw new PylonError("INVALID_DATA", "The upload was cut off.");
      });
      signal?.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", end);
    await reader.cancel().catch(() => undefined);
  }
}
