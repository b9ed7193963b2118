import { PylonError } from "@pylonsync/protocol";
import type { Sample } from "../observe/counter.ts";

/** Both ends are inclusive and counted from 0. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The metadata of a stored object. */
export interface ObjectInfo {
  /** The size in bytes. */
  readonly size: number;
}

/** The metadata that is passed to the storage. */
export interface PutOptions {
  readonly contentType: string;
}

/** A request with which a client sends content directly to the storage. */
export interface PresignedRequest {
  readonly url: string;
  /** Must be sent unchanged. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The restrictions on an upload directly to the storage. */
export interface PresignUploadOptions extends PutOptions {
  /** The exact size in bytes that the storage accepts. */
  readonly size: number;
  /** SHA-256 in hex, which the storage verifies; null if it is not known. */
  readonly checksum: string | null;
  /** How long the URL is valid, in seconds. */
  readonly expiresIn: number;
}

/** The response headers of a download directly from the storage. */
export interface PresignDownloadOptions {
  /** The Content-Type of the response. */
  readonly contentType: string;
  readonly disposition: string;
  /** How long the URL is valid, in seconds. */
  readonly expiresIn: number;
}

/** A multipart upload that has begun. */
export interface PresignedParts {
  /** The storage's id of this upload. */
  readonly multipartId: string;
  readonly parts: readonly { readonly number: number; readonly url: string }[];
}

/** An uploaded part, as the storage named it. */
export interface FinishedPart {
  readonly number: number;
  readonly etag: string;
}

/** The progress of a resumable upload that survives a crash. */
export interface UploadProgress {
  /** The number of stored bytes. */
  readonly offset: number;
  /** The ETags of its parts, in order; empty if the storage stores it in one piece. */
  readonly parts: readonly string[];
}

/** A resumable upload, as it is passed to the storage. */
export interface ResumableObject extends UploadProgress {
  readonly id: string;
  /** The result of `beginAppend`. */
  readonly multipartId: string | null;
  /** The total size in bytes. */
  readonly size: number;
}

/**
 * Stores the content of files by id. An object is written once and then only read or deleted. All
 * methods throw PylonError STORAGE_UNAVAILABLE if the storage does not respond or rejects the
 * request.
 */
export interface FileStorage {
  /** Whether clients can send content directly to this storage, through URLs that it signs. */
  readonly signsUploads: boolean;
  /**
   * Stores all of `content`. If it throws, or `content` does, nothing is left behind.
   *
   * @param id a file's id; nothing else is ever part of a path
   */
  put(id: string, content: AsyncIterable<Uint8Array>, options: PutOptions): Promise<void>;
  /**
   * @param range must lie within the object
   * @returns null if there is no such object. A Blob represents a file that is not read yet: the
   *   HTTP server sends it directly from the disk, and with its length, which it does not do for a
   *   stream.
   */
  get(id: string, range: ByteRange): Promise<ReadableStream<Uint8Array> | Blob | null>;
  /** @returns null if there is no such object */
  info(id: string): Promise<ObjectInfo | null>;
  /** Deletes the object, if it exists, and the remains of unfinished uploads to it. */
  delete(id: string, multipartId: string | null): Promise<void>;
  /** @returns null if clients can't reach this storage directly */
  presignUpload(id: string, options: PresignUploadOptions): Promise<PresignedRequest | null>;
  /** @returns null if clients can't reach this storage directly */
  presignDownload(id: string, options: PresignDownloadOptions): Promise<string | null>;
  /**
   * Begins a multipart upload.
   *
   * @returns null if clients can't reach this storage directly
   */
  presignParts(
    id: string,
    count: number,
    options: PresignUploadOptions,
  ): Promise<PresignedParts | null>;
  /** @throws PylonError INVALID_DATA if the parts differ from those that were uploaded */
  completeParts(id: string, multipartId: string, parts: readonly FinishedPart[]): Promise<void>;
  /**
   * Begins an object that is stored in chunks.
   *
   * @returns the storage's own id of it; null if it needs none
   */
  beginAppend(id: string, options: PutOptions): Promise<string | null>;
  /**
   * Appends `content` to what is already stored. One call at a time.
   *
   * @param content no more bytes than are missing. If it throws, the bytes before are stored and
   *   reported
   * @param onStored called after each step that survives a crash; if it throws, the append ends
   * @throws PylonError FILE_NOT_FOUND if the bytes stored before no longer exist
   */
  append(
    object: ResumableObject,
    content: AsyncIterable<Uint8Array>,
    onStored: (progress: UploadProgress) => Promise<void>,
  ): Promise<void>;
  /** Turns a completely stored upload into the object. It is idempotent. */
  finishAppend(object: ResumableObject): Promise<void>;
  /**
   * Checks whether files can be stored and read now.
   *
   * @returns `full` if little space is left
   * @throws any error if they can't
   */
  check(): Promise<"up" | "full">;
  /**
   * Requests to the storage since the start, by `operation` and `outcome`; empty for a storage
   * without requests.
   */
  counts(): Sample[];
  /** Closes connections; no other method is called after it. */
  close(): void;
}

/** Distributes objects over folders, which some file systems need and S3 does not mind. */
export function shardedPath(id: string): string {
  return `${id.slice(0, 2)}/${id.slice(2, 4)}/${id}`;
}

/** The error for an upload whose stored bytes no longer exist: the client must start again. */
export function lostUpload(): PylonError {
  return new PylonError("FILE_NOT_FOUND", "The uploaded part of this file no longer exists.", {
    hint: "Start the upload again.",
  });
}
