import { MAX_OPEN_UPLOADS, PylonError } from "@pylonsync/protocol";
import { checkFileRules } from "../data/file-rules.ts";
import type { FileRecord } from "../data/file-record.ts";
import type { Caller } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import { fileNotFound } from "./file-finder.ts";
import type { FileRegistry } from "./file-registry.ts";
import { columnsOf, type FileService, type PendingUpload } from "./file-service.ts";
import type { FileStorage, ResumableObject, UploadProgress } from "./file-storage.ts";
import { tooLarge } from "./metered-content.ts";

/** The services that resumable uploads use. */
export interface ResumableServices {
  readonly registry: FileRegistry;
  readonly storage: FileStorage;
  readonly files: FileService;
  readonly platform: Platform;
}

/** Returns the content of a request, which ends when the signal is aborted. */
export type BodyUntil = (signal: AbortSignal) => AsyncIterable<Uint8Array>;

interface Running {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/**
 * Uploads that arrive in chunks, over any number of requests and replicas. The offset is written to
 * the database after the storage has the bytes. One request writes at a time: a newer request ends
 * the older one, whose connection the client has given up but which may still be open. In this
 * process the newer one waits for that end; on another replica the older one has lost its claim, so
 * nothing that it stores counts.
 */
export class ResumableUploads {
  readonly #services: ResumableServices;
  readonly #running = new Map<string, Running>();

  constructor(services: ResumableServices) {
    this.#services = services;
  }

  /**
   * Begins an upload. An upload of 0 bytes becomes a file immediately.
   *
   * @throws PylonError PAYLOAD_TOO_LARGE, INVALID_DATA, FILE_QUOTA_REACHED, STORAGE_UNAVAILABLE
   */
  async create(upload: PendingUpload, caller: Caller): Promise<FileRecord> {
    const { registry, storage, files } = this.#services;
    const { name, contentType, size, checksum, binding } = upload;
    const limit = files.limitOf(binding);
    if (size > limit) throw tooLarge(limit);
    if (binding !== null) checkFileRules(binding.entity, binding.field, { contentType, size });
    const announced = { ownerId: caller.userId, name, contentType, size, checksum };
    const file = await registry.announceResumable(
      { ...announced, ...columnsOf(binding), uploadKey: null },
      MAX_OPEN_UPLOADS,
    );
    try {
      if (size === 0) return await this.#createEmpty(file, caller);
      const multipartId = await storage.beginAppend(file.id, { contentType });
      await registry.update(file.id, { multipartId });
    } catch (error) {
      await registry.forget(file.id);
      throw error;
    }
    return file;
  }

  /**
   * Returns the number of stored bytes, and ends a request that is still writing: clients ask for
   * the offset after they have lost the connection.
   *
   * @throws PylonError FILE_NOT_FOUND, STORAGE_UNAVAILABLE
   */
  offset(file: FileRecord, caller: Caller): Promise<number> {
    if (file.state === "ready") return Promise.resolve(file.size);
    return this.#exclusively(file.id, async () => {
      const current = await this.#claim(file.id, this.#services.platform.uuid());
      // The server may have stopped after the last byte, before it finished the upload.
      if (current.uploadOffset === current.size) await this.#finish(current, null, caller);
      return current.uploadOffset ?? 0;
    });
  }

  /**
   * Stores the content from `offset` on, and finishes the file once all bytes are stored.
   *
   * @returns the number of bytes stored so far
   * @throws PylonError CONFLICT if `offset` is not that of the upload, INVALID_DATA for more bytes
   *   than announced and for an incomplete body, CHECKSUM_MISMATCH, FILE_NOT_FOUND,
   *   STORAGE_UNAVAILABLE; the bytes received before stay stored, except after CHECKSUM_MISMATCH
   */
  append(file: FileRecord, offset: number, body: BodyUntil, caller: Caller): Promise<number> {
    if (file.state === "ready" && offset === file.size) return Promise.resolve(file.size);
    return this.#exclusively(file.id, async (signal) => {
      const claim = this.#services.platform.uuid();
      const current = await this.#claim(file.id, claim);
      if (current.uploadOffset !== offset)
        throw new PylonError("CONFLICT", `The upload is at byte ${String(current.uploadOffset)}.`, {
          field: "Upload-Offset",
          hint: "Get its offset with HEAD, and continue from there.",
        });
      const content = new Remainder(body(signal), current.size - offset);
      let object = objectOf(current);
      const onStored = async (progress: UploadProgress): Promise<void> => {
        if (!(await this.#services.registry.advance(file.id, claim, progress))) throw superseded();
        object = { ...object, ...progress, parts: [...progress.parts] };
      };
      try {
        if (offset < current.size) await this.#services.storage.append(object, content, onStored);
      } catch (error) {
        await this.#dropIfDeleted(current).catch(ignore);
        throw error;
      }
      if (object.offset === current.size) {
        const known = offset === 0 ? content.checksum : null;
        await this.#finish({ ...current, uploadParts: object.parts }, known, caller);
      }
      return object.offset;
    });
  }

  /** Ends the request that writes to an upload, before the upload is deleted. */
  async stop(id: string): Promise<void> {
    const running = this.#running.get(id);
    running?.stop.abort(superseded());
    await running?.done;
  }

  /** If an upload was deleted during a chunk, deletes its content: no cleanup would find it. */
  async #dropIfDeleted({ id, multipartId }: FileRecord): Promise<void> {
    const { registry, storage } = this.#services;
    const state = (await registry.get(id))?.state ?? "deleting";
    if (state === "deleting") await storage.delete(id, multipartId);
  }

  async #createEmpty(file: FileRecord, caller: Caller): Promise<FileRecord> {
    const { storage } = this.#services;
    await storage.put(file.id, nothing(), { contentType: file.contentType });
    await this.#ready(file, new Bun.CryptoHasher("sha256").digest("hex"), caller);
    return file;
  }

  /** @param checksum SHA-256 in hex of the content; null if it is not known */
  async #finish(file: FileRecord, checksum: string | null, caller: Caller): Promise<void> {
    const { storage, files } = this.#services;
    await storage.finishAppend(objectOf(file));
    const stored = await storage.info(file.id);
    if (stored?.size !== file.size) {
      await files.remove(file);
      throw new PylonError("CONFLICT", "The stored content of this file is not what was sent.", {
        hint: "Upload it again from the beginning.",
      });
    }
    const known = checksum ?? (file.checksum === null ? null : await this.#checksumOf(file));
    await this.#ready(file, known, caller);
  }

  async #ready(file: FileRecord, checksum: string | null, { isGuest }: Caller): Promise<void> {
    const { files, registry } = this.#services;
    if (file.checksum !== null && file.checksum !== checksum) {
      await files.remove(file);
      throw new PylonError("CHECKSUM_MISMATCH", "The content does not match the checksum.", {
        hint: "Send the SHA-256 of the content in hex.",
      });
    }
    const finished = await registry.finish(file, { size: file.size, checksum }, !isGuest);
    if (finished !== null || (await registry.get(file.id))?.state === "ready") return;
    // The upload was deleted, or has expired, while it was being finished.
    await this.#services.storage.delete(file.id, file.multipartId);
    throw fileNotFound();
  }

  /** Computes the checksum of an upload received in several requests, by reading it back. */
  async #checksumOf({ id, size }: FileRecord): Promise<string> {
    const hash = new Bun.CryptoHasher("sha256");
    const content = await this.#services.storage.get(id, { start: 0, end: size - 1 });
    const stream = content instanceof Blob ? content.stream() : content;
    if (stream !== null) for await (const chunk of stream) hash.update(chunk);
    return hash.digest("hex");
  }

  async #claim(id: string, claim: string): Promise<FileRecord> {
    const file = await this.#services.registry.claimUpload(id, claim);
    if (file === null) throw fileNotFound();
    return file;
  }

  /** Runs one task per upload at a time: a newer task ends the previous one and waits for it. */
  #exclusively<T>(id: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const before = this.#running.get(id);
    before?.stop.abort(superseded());
    const stop = new AbortController();
    const result = (before?.done ?? Promise.resolve()).then(() => {
      stop.signal.throwIfAborted();
      return work(stop.signal);
    });
    const own: Running = { stop, done: result.then(ignore, ignore) };
    this.#running.set(id, own);
    void own.done.then(() => {
      if (this.#running.get(id) === own) this.#running.delete(id);
    });
    return result;
  }
}

/** Hashes the remaining content of an upload, and rejects more bytes than are missing. */
class Remainder implements AsyncIterable<Uint8Array> {
  readonly #content: AsyncIterable<Uint8Array>;
  readonly #missing: number;
  readonly #hash = new Bun.CryptoHasher("sha256");

  constructor(content: AsyncIterable<Uint8Array>, missing: number) {
    this.#content = content;
    this.#missing = missing;
  }

  /** SHA-256 in hex of the bytes that were read. It may be read only once, at the end. */
  get checksum(): string {
    return this.#hash.digest("hex");
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    let size = 0;
    for await (const chunk of this.#content) {
      size += chunk.length;
      if (size > this.#missing)
        throw new PylonError("INVALID_DATA", "The upload is larger than its Upload-Length.", {
          field: "Upload-Length",
        });
      this.#hash.update(chunk);
      yield chunk;
    }
  }
}

function objectOf({
  id,
  multipartId,
  size,
  uploadOffset,
  uploadParts,
}: FileRecord): ResumableObject {
  return { id, multipartId, size, offset: uploadOffset ?? 0, parts: uploadParts ?? [] };
}

function superseded(): PylonError {
  return new PylonError("CONFLICT", "Another request is continuing this upload.", {
    hint: "Get its offset with HEAD, and continue from there.",
  });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function ignore(): void {}
