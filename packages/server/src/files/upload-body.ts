import { PylonError } from "@pylonsync/protocol";
import { normaliseContentType } from "./content-type.ts";
import { cleanFileName, decodeFileName } from "./file-name.ts";

/** A file as it comes in. `content` is read once, as fast as it is stored. */
export interface IncomingFile {
  readonly name: string;
  readonly contentType: string;
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * The file in an upload: the first one of a form, or else the body itself.
 *
 * @throws PylonError INVALID_MULTIPART
 */
export async function incomingFile(request: Request): Promise<IncomingFile> {
  const type = request.headers.get("content-type");
  if (type !== null && /^multipart\//i.test(type)) {
    const { readMultipart } = await import("./multipart.ts");
    return readMultipart(type, bodyOf(request));
  }
  return {
    name: cleanFileName(decodeFileName(request.headers.get("x-filename") ?? "")),
    contentType: normaliseContentType(type),
    content: bodyOf(request),
  };
}

/** The body, piece by piece. @throws PylonError INVALID_DATA when the client goes away */
export async function* bodyOf(request: Request): AsyncGenerator<Uint8Array> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((): never => {
        throw new PylonError("INVALID_DATA", "The upload was cut off.");
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
