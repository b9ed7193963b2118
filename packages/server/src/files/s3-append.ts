import {
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import {
  lostUpload,
  type FinishedPart,
  type ResumableObject,
  type UploadProgress,
} from "./file-storage.ts";
import type { S3Operation } from "./s3-failure.ts";

/** Limits of S3: at most 10,000 parts, each of at least 5 MiB except for the last. */
const MIN_PART_BYTES = 5 * 1024 * 1024;
const MAX_PARTS = 10_000;
/** The size of the header of a tail: the number of the part that the tail belongs to. */
const TAIL_HEAD_BYTES = 4;

interface Place {
  readonly Bucket: string;
  readonly Key: string;
}

/** How an upload is sent to S3. */
export interface S3AppendOptions {
  readonly client: S3Client;
  readonly place: Place;
  /** The size of all parts but the last, in bytes. */
  readonly partBytes: number;
  /** @returns null if there is no such object */
  readonly run: <T>(operation: S3Operation, send: () => Promise<T>) => Promise<T | null>;
  /** Assembles the object from its parts. */
  readonly complete: (parts: readonly FinishedPart[]) => Promise<void>;
}

/** Returns the size of an object's parts, in bytes; it depends only on the object's size. */
export function partBytesOf(size: number): number {
  return Math.max(MIN_PART_BYTES, Math.ceil(size / MAX_PARTS));
}

/** Returns the location of the tail: bytes that do not fill a part yet. */
export function tailOf({ Bucket, Key }: Place): Place {
  return { Bucket, Key: `${Key}.tail` };
}

/**
 * Stores chunks of any size as a multipart upload: each part is sent when it is full, and the rest
 * of a chunk is stored as a separate object, the tail. One part is held in memory.
 */
export class S3Append {
  readonly #object: ResumableObject;
  readonly #options: S3AppendOptions;

  constructor(object: ResumableObject, options: S3AppendOptions) {
    this.#object = object;
    this.#options = options;
  }

  /** Implements `append` of `FileStorage`. */
  async append(
    content: AsyncIterable<Uint8Array>,
    onStored: (progress: UploadProgress) => Promise<void>,
  ): Promise<void> {
    const { size, offset } = this.#object;
    const { partBytes } = this.#options;
    const parts = [...this.#object.parts];
    const part = Buffer.allocUnsafe(Math.min(partBytes, size - parts.length * partBytes));
    const before = offset - parts.length * partBytes;
    let filled = await this.#readTail(part, before, parts.length + 1);
    let isNew = false;
    try {
      for await (const chunk of content)
        for (let at = 0; at < chunk.length;) {
          const length = Math.min(partBytes, size - parts.length * partBytes);
          const taken = Math.min(length - filled, chunk.length - at);
          part.set(chunk.subarray(at, at + taken), filled);
          filled += taken;
          at += taken;
          isNew = true;
          if (filled < length) continue;
          parts.push(await this.#sendPart(parts.length + 1, part.subarray(0, length)));
          filled = 0;
          isNew = false;
          await onStored({ offset: Math.min(parts.length * partBytes, size), parts });
        }
    } finally {
      if (isNew) {
        await this.#writeTail(part.subarray(0, filled), parts.length + 1);
        await onStored({ offset: parts.length * partBytes + filled, parts });
      }
    }
  }

  /** Implements `finishAppend` of `FileStorage`. */
  async finish(): Promise<void> {
    const { client, place, run, complete } = this.#options;
    await complete(this.#object.parts.map((etag, index) => ({ number: index + 1, etag })));
    await run("DeleteObject", () => client.send(new DeleteObjectCommand(tailOf(place))));
  }

  async #sendPart(number: number, body: Uint8Array): Promise<string> {
    const { client, place, run } = this.#options;
    const command = new UploadPartCommand({
      ...place,
      UploadId: this.#object.multipartId ?? "",
      PartNumber: number,
      Body: body,
    });
    const sent = await run("UploadPart", () => client.send(command));
    if (sent?.ETag === undefined) throw lostUpload();
    return sent.ETag;
  }

  /** @param length the number of stored bytes of the part @returns `length` */
  async #readTail(part: Buffer, length: number, number: number): Promise<number> {
    if (length === 0) return 0;
    const { client, place, run } = this.#options;
    const found = await run("GetObject", () => client.send(new GetObjectCommand(tailOf(place))));
    const bytes = Buffer.from((await found?.Body?.transformToByteArray()) ?? []);
    const tail = bytes.subarray(TAIL_HEAD_BYTES);
    // An interrupted request on another replica may since have stored the tail of an earlier part.
    if (tail.length < length || bytes.readUInt32BE() !== number) throw lostUpload();
    part.set(tail.subarray(0, length));
    return length;
  }

  async #writeTail(tail: Uint8Array, number: number): Promise<void> {
    const { client, place, run } = this.#options;
    const head = Buffer.alloc(TAIL_HEAD_BYTES);
    head.writeUInt32BE(number);
    const command = new PutObjectCommand({ ...tailOf(place), Body: Buffer.concat([head, tail]) });
    await run("PutObject", () => client.send(command));
  }
}
