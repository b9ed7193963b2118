import { PylonError } from "@pylonsync/protocol";
import type { Sample } from "../observe/counter.ts";

/** Both ends are included; counted from 0. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What is known of an object that is stored. */
export interface ObjectInfo {
  /** Bytes. */
  readonly size: number;
}

/** What the storage is told of an object. */
export interface PutOptions {
  readonly contentType: string;
}

/** How to send content to the storage without going through this server. */
export interface PresignedRequest {
  readonly url: string;
  /** To be sent as they are. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What an upload past this server must keep to. */
export interface PresignUploadOptions extends PutOptions {
  /** Bytes; the storage takes no more and no less. */
  readonly size: number;
  /** SHA-256 in hex, which the storage checks; null when it is not known. */
  readonly checksum: string | null;
  /** Seconds for which the URL is good. */
  readonly expiresIn: number;
}

/** How the storage is to answer a download past this server. */
export interface PresignDownloadOptions {
  /** What the storage is to answer with. */
  readonly contentType: string;
  readonly disposition: string;
  /** Seconds for which the URL is good. */
  readonly expiresIn: number;
}

/** An upload in parts that has begun. */
export interface PresignedParts {
  /** The storage's name of this upload. */
  readonly multipartId: string;
  readonly parts: readonly { readonly number: number; readonly url: string }[];
}

/** A part that was uploaded, as the storage named it. */
export interface FinishedPart {
  readonly number: number;
  readonly etag: string;
}

/** How far an upload that can be resumed is, after which nothing of it is lost by a crash. */
export interface UploadProgress {
  /** Bytes that are stored. */
  readonly offset: number;
  /** The ETags of its parts, in their order; none where the storage keeps it in one piece. */
  readonly parts: readonly string[];
}

/** An upload that can be resumed, as the storage is told of it. */
export interface ResumableObject extends UploadProgress {
  readonly id: string;
  /** Of `beginAppend`. */
  readonly multipartId: string | null;
  /** Bytes that it will have. */
  readonly size: number;
}

/**
 * Where the content of files is kept, by id. An object is written once and then only read or
 * deleted. All methods throw PylonError STORAGE_UNAVAILABLE when the storage does not answer or
 * refuses.
 */
export interface FileStorage {
  /**
   * Stores all of `content`. When it throws, or `content` does, nothing is left behind.
   *
   * @param id a file's id; nothing else is ever part of a path
   */
  put(id: string, content: AsyncIterable<Uint8Array>, options: PutOptions): Promise<void>;
  /**
   * @param range must lie within the object
   * @returns null when there is no such object. A Blob stands for a file that is not read yet: the
   *   HTTP server sends it from the disk, and with its length, which it does not do for a stream.
   */
  get(id: string, range: ByteRange): Promise<ReadableStream<Uint8Array> | Blob | null>;
  /** @returns null when there is no such object */
  info(id: string): Promise<ObjectInfo | null>;
  /** Deletes the object, if it is there, and what was left of unfinished uploads to it. */
  delete(id: string, multipartId: string | null): Promise<void>;
  /** @returns null when clients can't reach this storage by themselves */
  presignUpload(id: string, options: PresignUploadOptions): Promise<PresignedRequest | null>;
  /** @returns null when clients can't reach this storage by themselves */
  presignDownload(id: string, options: PresignDownloadOptions): Promise<string | null>;
  /**
   * Begins an upload in parts.
   *
   * @returns null when clients can't reach this storage by themselves
   */
  presignParts(
    id: string,
    count: number,
    options: PresignUploadOptions,
  ): Promise<PresignedParts | null>;
  /** @throws PylonError INVALID_DATA when the parts are not those that were uploaded */
  completeParts(id: string, multipartId: string, parts: readonly FinishedPart[]): Promise<void>;
  /**
   * Begins an object that is stored piece by piece.
   *
   * @returns the storage's own name of it; null where it needs none
   */
  beginAppend(id: string, options: PutOptions): Promise<string | null>;
  /**
   * Stores `content` after what is stored already. One call at a time.
   *
   * @param content no more than what is missing. When it throws, what came before is stored and
   *   told of
   * @param onStored told after each step that outlives a crash; when it throws, the append ends
   * @throws PylonError FILE_NOT_FOUND when what was stored before is gone
   */
  append(
    object: ResumableObject,
    content: AsyncIterable<Uint8Array>,
    onStored: (progress: UploadProgress) => Promise<void>,
  ): Promise<void>;
  /** All of it is stored: makes it the object. Doing it twice does no harm. */
  finishAppend(object: ResumableObject): Promise<void>;
  /**
   * Whether files can be stored and read now.
   *
   * @returns `full` when little room is left
   * @throws anything when they can't
   */
  check(): Promise<"up" | "full">;
  /**
   * Requests to the storage since the start, by `operation` and `outcome`; none where there are
   * none.
   */
  counts(): Sample[];
  /** Lets go of connections; no other method is called after it. */
  close(): void;
}

/** Spreads objects over folders, which some file systems need and S3 does not mind. */
export function shardedPath(id: string): string {
  return `${id.slice(0, 2)}/${id.slice(2, 4)}/${id}`;
}

/** What an upload had stored is gone: a client begins again. */
export function lostUpload(): PylonError {
  return new PylonError("FILE_NOT_FOUND", "The uploaded part of this file no longer exists.", {
    hint: "Start the upload again.",
  });
}
