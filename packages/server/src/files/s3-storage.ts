import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type GetObjectCommandOutput,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { PylonError } from "@pylonsync/protocol";
import type { Sample } from "../observe/counter.ts";
import type { Log } from "../observe/log.ts";
import { inSpan } from "../observe/operation.ts";
import type { Platform } from "../platform.ts";
import {
  shardedPath,
  type ByteRange,
  type FileStorage,
  type FinishedPart,
  type ObjectInfo,
  type PresignDownloadOptions,
  type PresignedParts,
  type PresignedRequest,
  type PresignUploadOptions,
  type PutOptions,
  type ResumableObject,
  type UploadProgress,
} from "./file-storage.ts";
import { isMissingObject, s3Failure, statusOfS3, type S3Operation } from "./s3-failure.ts";
import { partBytesOf, S3Append, tailOf } from "./s3-append.ts";
import { streamWindows, type FetchWindow } from "./s3-windows.ts";

/** The bucket, how it is reached, and the limits on its objects. */
export interface S3StorageOptions {
  readonly bucket: string;
  readonly region: string;
  readonly endpoint: string | undefined;
  /** Undefined: the SDK looks for them, for example in a task role. */
  readonly credentials:
    | { readonly accessKeyId: string; readonly secretAccessKey: string }
    | undefined;
  /** The largest file, in bytes. */
  readonly maxBytes: number;
  /**
   * How long S3 may take to respond to a request, in milliseconds; the largest request sends one
   * part. Default 20 s.
   */
  readonly requestMs?: number;
  readonly log: Log;
  readonly platform: Pick<Platform, "after">;
}

const CONNECT_MS = 3_000;
const REQUEST_MS = 20_000;
const ATTEMPTS = 3;
/** The number of parts in memory for each running upload. */
const PART_CONCURRENCY = 2;

/**
 * Files in an S3 bucket, under `files/`. This module loads the SDK: import it only if S3 is
 * selected.
 */
export class S3Storage implements FileStorage {
  readonly signsUploads = true;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #partBytes: number;
  readonly #log: Log;
  readonly #platform: Pick<Platform, "after">;
  readonly #counts = new Map<S3Operation, { ok: number; failed: number }>();

  constructor({
    bucket,
    region,
    endpoint,
    credentials,
    maxBytes,
    requestMs = REQUEST_MS,
    log,
    platform,
  }: S3StorageOptions) {
    this.#platform = platform;
    this.#bucket = bucket;
    this.#partBytes = partBytesOf(maxBytes);
    this.#log = log;
    this.#client = new S3Client({
      region,
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: !isAmazon(endpoint) }),
      ...(credentials === undefined ? {} : { credentials }),
      maxAttempts: ATTEMPTS,
      // Not every S3 supports the SDK's own checksums, and they would be signed into presigned URLs
      // as those of an empty body.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        requestTimeout: requestMs,
        throwOnRequestTimeout: true,
      },
    });
  }

  async put(
    id: string,
    content: AsyncIterable<Uint8Array>,
    { contentType }: PutOptions,
  ): Promise<void> {
    const failures: unknown[] = [];
    const upload = new Upload({
      client: this.#client,
      params: {
        ...this.#object(id),
        Body: Readable.from(remembering(content, failures), { objectMode: false }),
        ContentType: contentType,
      },
      partSize: this.#partBytes,
      queueSize: PART_CONCURRENCY,
    });
    try {
      await this.#observed("PutObject", () => upload.done());
    } catch (error) {
      // The content from the caller failed, not S3; the uploaded parts are deleted in both cases.
      if (failures.length > 0) throw failures[0];
      throw s3Failure(error, "PutObject", this.#bucket, this.#log);
    }
  }

  get(id: string, range: ByteRange): Promise<ReadableStream<Uint8Array> | null> {
    const fetch = async (window: ByteRange, etag: string | undefined): ReturnType<FetchWindow> => {
      const command = new GetObjectCommand({
        ...this.#object(id),
        Range: `bytes=${window.start}-${window.end}`,
        ...(etag === undefined ? {} : { IfMatch: etag }),
      });
      const output = await this.#run("GetObject", () => this.#client.send(command));
      if (output === null) return null;
      return { etag: output.ETag, body: bodyOf(output) };
    };
    return streamWindows(range, fetch, this.#platform);
  }

  async info(id: string): Promise<ObjectInfo | null> {
    const output = await this.#run("HeadObject", () =>
      this.#client.send(new HeadObjectCommand(this.#object(id))),
    );
    return output === null ? null : { size: output.ContentLength ?? 0 };
  }

  async delete(id: string, multipartId: string | null): Promise<void> {
    if (multipartId !== null)
      await this.#run("AbortMultipartUpload", () =>
        this.#client.send(
          new AbortMultipartUploadCommand({ ...this.#object(id), UploadId: multipartId }),
        ),
      );
    await this.#run("DeleteObject", () =>
      this.#client.send(new DeleteObjectCommand(this.#object(id))),
    );
    // The multipart upload of a resumable upload.
    if (multipartId !== null)
      await this.#run("DeleteObject", () =>
        this.#client.send(new DeleteObjectCommand(tailOf(this.#object(id)))),
      );
  }

  async presignUpload(
    id: string,
    { contentType, size, checksum, expiresIn }: PresignUploadOptions,
  ): Promise<PresignedRequest> {
    // The signed headers must be sent unchanged: the size, the type, and that the object does not
    // exist yet, so that a URL writes once.
    const command = new PutObjectCommand({
      ...this.#object(id),
      ContentType: contentType,
      ContentLength: size,
      IfNoneMatch: "*",
      ...(checksum === null ? {} : { ChecksumSHA256: toBase64(checksum) }),
    });
    const url = await getSignedUrl(this.#client, command, {
      expiresIn,
      signableHeaders: new Set([
        "host",
        "content-type",
        "content-length",
        "if-none-match",
        CHECKSUM_HEADER,
      ]),
      unhoistableHeaders: new Set([CHECKSUM_HEADER]),
    });
    return {
      url,
      headers: {
        "Content-Type": contentType,
        "If-None-Match": "*",
        ...(checksum === null ? {} : { [CHECKSUM_HEADER]: toBase64(checksum) }),
      },
    };
  }

  presignDownload(
    id: string,
    { contentType, disposition, expiresIn }: PresignDownloadOptions,
  ): Promise<string> {
    const command = new GetObjectCommand({
      ...this.#object(id),
      ResponseContentType: contentType,
      ResponseContentDisposition: disposition,
    });
    return getSignedUrl(this.#client, command, { expiresIn });
  }

  async presignParts(
    id: string,
    count: number,
    { contentType, expiresIn }: PresignUploadOptions,
  ): Promise<PresignedParts> {
    const multipartId = await this.beginAppend(id, { contentType });
    const sign = async (number: number): Promise<{ number: number; url: string }> => {
      const command = new UploadPartCommand({
        ...this.#object(id),
        UploadId: multipartId,
        PartNumber: number,
      });
      return { number, url: await getSignedUrl(this.#client, command, { expiresIn }) };
    };
    return {
      multipartId,
      parts: await Promise.all(Array.from({ length: count }, (_, index) => sign(index + 1))),
    };
  }

  async completeParts(
    id: string,
    multipartId: string,
    parts: readonly FinishedPart[],
  ): Promise<void> {
    const command = new CompleteMultipartUploadCommand({
      ...this.#object(id),
      UploadId: multipartId,
      MultipartUpload: {
        Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })),
      },
    });
    try {
      await this.#observed("CompleteMultipartUpload", () => this.#client.send(command));
    } catch (error) {
      const status = statusOfS3(error);
      // 404: it was completed before, or aborted; whether the object exists tells which.
      if (status === 404 && isMissingObject(error)) return;
      if (status === 400)
        throw new PylonError("INVALID_DATA", "The parts do not match the uploaded parts.", {
          field: "parts",
          hint: "Send the number of each part and the ETag that its upload returned.",
        });
      throw s3Failure(error, "CompleteMultipartUpload", this.#bucket, this.#log);
    }
  }

  async beginAppend(id: string, { contentType }: PutOptions): Promise<string> {
    const begun = await this.#run("CreateMultipartUpload", () =>
      this.#client.send(
        new CreateMultipartUploadCommand({ ...this.#object(id), ContentType: contentType }),
      ),
    );
    return begun?.UploadId ?? "";
  }
  append(
    object: ResumableObject,
    content: AsyncIterable<Uint8Array>,
    onStored: (progress: UploadProgress) => Promise<void>,
  ): Promise<void> {
    return this.#appender(object).append(content, onStored);
  }
  async finishAppend(object: ResumableObject): Promise<void> {
    await this.#appender(object).finish();
  }
  #appender(object: ResumableObject): S3Append {
    return new S3Append(object, {
      client: this.#client,
      place: this.#object(object.id),
      partBytes: partBytesOf(object.size),
      run: (operation, send) => this.#run(operation, send),
      complete: (parts) => this.completeParts(object.id, object.multipartId ?? "", parts),
    });
  }

  /**
   * Requests an object that does not exist: it is rejected if the permissions for serving files are
   * missing.
   */
  async check(): Promise<"up"> {
    await this.#client
      .send(new HeadObjectCommand({ Bucket: this.#bucket, Key: "files/.ready" }))
      .catch((error: unknown) => {
        if (!isMissingObject(error)) throw error;
      });
    return "up";
  }

  counts(): Sample[] {
    return [...this.#counts].flatMap(([operation, counts]) =>
      Object.entries(counts).map(([outcome, value]) => ({ labels: { operation, outcome }, value })),
    );
  }

  close(): void {
    this.#client.destroy();
  }

  #object(id: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: `files/${shardedPath(id)}` };
  }

  /** Counts and traces a request; a missing object counts as a normal response. */
  async #observed<T>(operation: S3Operation, send: () => Promise<T>): Promise<T> {
    const counts = this.#counts.get(operation) ?? { ok: 0, failed: 0 };
    this.#counts.set(operation, counts);
    try {
      const result = await inSpan(
        `S3 ${operation}`,
        "client",
        {
          "rpc.system": "aws-api",
          "rpc.service": "S3",
          "rpc.method": operation,
          "aws.s3.bucket": this.#bucket,
        },
        send,
      );
      counts.ok += 1;
      return result;
    } catch (error) {
      counts[isMissingObject(error) ? "ok" : "failed"] += 1;
      throw error;
    }
  }

  /** @returns null if there is no such object @throws PylonError STORAGE_UNAVAILABLE */
  async #run<T>(operation: S3Operation, send: () => Promise<T>): Promise<T | null> {
    try {
      return await this.#observed(operation, send);
    } catch (error) {
      if (isMissingObject(error)) return null;
      throw s3Failure(error, operation, this.#bucket, this.#log);
    }
  }
}

const CHECKSUM_HEADER = "x-amz-checksum-sha256";

/** Records the error of the content itself, however the SDK reports it. */
async function* remembering(
  content: AsyncIterable<Uint8Array>,
  failures: unknown[],
): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (error) {
    failures.push(error);
    throw error;
  }
}

function bodyOf(output: GetObjectCommandOutput): ReadableStream<Uint8Array> {
  if (output.Body === undefined) throw new Error("S3 responded without a body.");
  return output.Body.transformToWebStream();
}

function isAmazon(endpoint: string): boolean {
  return /(^|\.)amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname);
}

function toBase64(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}
