import type { EntityName } from "@pylonsync/sdk";

/** A stored file. */
export interface StoredFile {
  /** The file's id, the value of a file field. */
  readonly id: string;
  /** The path from which users who may read the file can download it: `/api/files/ID`. */
  readonly url: string;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly contentType: string;
  /** SHA-256 in hex; null if the content was uploaded directly to storage without a checksum. */
  readonly checksum: string | null;
  /** The user who may delete the file; null if the file has no owner. */
  readonly ownerId: string | null;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** The options for storing a file. */
export interface NewStoredFile {
  /** The file name for downloads. Default `file`. */
  readonly name?: string;
  /** Default: `text/plain` for a string, otherwise `application/octet-stream`. */
  readonly contentType?: string;
  /** The owner's user id. Default: the caller. */
  readonly ownerId?: string | null;
  /** The entity and the field that will refer to the file; the field's restrictions then apply. */
  readonly entity?: EntityName;
  readonly field?: string;
}

/** The description of a file that a browser will upload. */
export interface NewUpload extends NewStoredFile {
  /** The exact size of the content, in bytes. */
  readonly size: number;
  /** The required SHA-256 of the content, in hex. */
  readonly checksum?: string;
  /** The time limit for the upload, in seconds, from 1 to 3,600. Default 3,600. */
  readonly expiresInSecs?: number;
}

/** A request that uploads one file. */
export interface SignedUpload {
  /** The id of the file, which exists once the upload is completed. */
  readonly id: string;
  readonly method: "PUT";
  /** At S3, or at this server: an absolute URL if PYLON_PUBLIC_URL is set, otherwise a path. */
  readonly url: string;
  /** The headers to send unchanged. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** The byte range to read: from `start` up to, but not including, `end`. */
export interface FileRange {
  /** Default 0. */
  readonly start?: number;
  /** Default: the end of the file. */
  readonly end?: number;
}

/**
 * Reads and writes files of the app, including those of other users. Written files are kept even if
 * the function fails afterwards.
 */
export interface FnStorage {
  /**
   * Stores a file of at most 32 MiB.
   *
   * @throws Error INVALID_ARGS, PAYLOAD_TOO_LARGE, INVALID_DATA, STORAGE_UNAVAILABLE
   * @example
   * const { id } = await ctx.storage.write("a,b", { name: "ab.csv", contentType: "text/csv" });
   */
  write(content: string | Uint8Array | ArrayBuffer, options?: NewStoredFile): Promise<StoredFile>;
  /** @returns null if the file does not exist */
  info(id: string): Promise<StoredFile | null>;
  /**
   * Reads a file or a range of it, at most 32 MiB per call.
   *
   * @returns null if the file does not exist
   * @throws Error PAYLOAD_TOO_LARGE, STORAGE_UNAVAILABLE
   */
  read(id: string, range?: FileRange): Promise<Uint8Array<ArrayBuffer> | null>;
  /**
   * Creates a public link to the file that expires after 1 second to 7 days (default one hour). It
   * is an absolute URL if PYLON_PUBLIC_URL is set, otherwise a path.
   *
   * @throws Error FILE_NOT_FOUND, INVALID_ARGS
   */
  sign(id: string, options?: { readonly expiresInSecs?: number }): Promise<string>;
  /**
   * Creates a request with which a browser uploads one file, once, directly to S3 if files are
   * stored there. Size, type and expiry are signed, and the request needs no session. `complete`
   * turns the upload into a file.
   *
   * @throws Error INVALID_ARGS, INVALID_DATA, PAYLOAD_TOO_LARGE, STORAGE_UNAVAILABLE
   * @example
   * const upload = await ctx.storage.signUpload({ contentType: "image/png", size: args.size });
   */
  signUpload(upload: NewUpload): Promise<SignedUpload>;
  /**
   * Turns an upload of `signUpload` into a file. The owner may call `POST /api/files/ID/complete`
   * instead. Idempotent.
   *
   * @returns null if the upload does not exist, or no content has been received
   * @throws Error INVALID_DATA if the size of the content differs, STORAGE_UNAVAILABLE
   */
  complete(id: string): Promise<StoredFile | null>;
  /**
   * @returns false if the file does not exist
   * @throws Error CONFLICT if a row refers to it
   */
  delete(id: string): Promise<boolean>;
}
