import { once } from "node:events";
import type { Readable } from "node:stream";
import { Busboy, type BusboyInstance } from "@fastify/busboy";
import { PylonError } from "@pylonsync/protocol";
import { normaliseContentType } from "./content-type.ts";
import { cleanFileName } from "./file-name.ts";
import type { IncomingFile } from "./upload-body.ts";

const LIMITS = {
  fields: 100,
  fieldNameSize: 100,
  fieldSize: 64 * 1024,
  parts: 100,
  headerPairs: 20,
};

/**
 * Returns the first file of a form while the form is still being received; its other parts are
 * skipped. The file's content ends without an error only if the whole form does.
 *
 * @throws PylonError INVALID_MULTIPART if it is malformed or has no file
 */
export function readMultipart(
  contentType: string,
  body: AsyncGenerator<Uint8Array>,
): Promise<IncomingFile> {
  return new Promise((resolve, reject) => {
    const form = new Form(contentType);
    const ended = form.read(body, resolve);
    ended.then(() => reject(invalid("The form contains no file.")), reject);
  });
}

class Form {
  readonly #parser: BusboyInstance;
  #file: Readable | undefined;
  #failure: PylonError | undefined;
  #isAbandoned = false;
  #wake: () => void = () => undefined;

  constructor(contentType: string) {
    try {
      this.#parser = new Busboy({ headers: { "content-type": contentType }, limits: LIMITS });
    } catch {
      throw invalid("The Content-Type header has no boundary.");
    }
  }

  /** Feeds the parser until the body ends. @param found receives the first file */
  async read(body: AsyncGenerator<Uint8Array>, found: (file: IncomingFile) => void): Promise<void> {
    const parser = this.#parser;
    parser.on("file", (_field, stream, filename, _encoding, mimeType) => {
      // It may fail before anything reads it.
      stream.on("error", (error: unknown) =>
        this.#fail(invalid(error instanceof Error ? error.message : "The form is malformed.")),
      );
      if (this.#file !== undefined) {
        stream.resume();
        return;
      }
      this.#file = stream;
      found({
        name: cleanFileName(filename ?? ""),
        contentType: normaliseContentType(mimeType),
        content: this.#content(stream, () => ended),
      });
    });
    parser.on("error", (error: unknown) =>
      this.#fail(invalid(error instanceof Error ? error.message : "The form is malformed.")),
    );
    const ended = this.#feed(body);
    await ended;
  }

  async #feed(body: AsyncGenerator<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of body) {
        if (!this.#parser.write(chunk)) await this.#drained();
        if (this.#isAbandoned || this.#failure !== undefined) break;
      }
    } catch (error) {
      this.#fail(error);
    }
    if (this.#failure === undefined && !this.#isAbandoned) {
      const finished = once(this.#parser, "finish").catch((error: unknown) => this.#fail(error));
      this.#parser.end();
      await Promise.race([finished, new Promise<void>((resolve) => (this.#wake = resolve))]);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when the parser has consumed its input, or the content is no longer needed. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#parser.once("drain", resolve);
    });
  }

  async *#content(
    stream: AsyncIterable<Uint8Array>,
    ended: () => Promise<void> | undefined,
  ): AsyncGenerator<Uint8Array> {
    let isWhole = false;
    try {
      yield* stream;
      isWhole = true;
    } catch (error) {
      throw this.#failure ?? error;
    } finally {
      if (!isWhole) this.#abandon();
    }
    await ended();
  }

  #abandon(): void {
    this.#isAbandoned = true;
    this.#wake();
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof PylonError ? error : invalid("The form is malformed.");
    this.#wake();
    this.#file?.destroy(this.#failure);
  }
}

function invalid(message: string): PylonError {
  return new PylonError("INVALID_MULTIPART", message, {
    hint: "Send multipart/form-data with one file, or the file itself as the body.",
  });
}
