import { MAX_PENDING_UPLOADS, PylonError, type ErrorCode } from "@pylonsync/protocol";
import { nearest } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { FileRecord } from "../data/file-record.ts";
import { checkFileRules } from "../data/file-rules.ts";
import type { DataModel } from "../data/model.ts";
import type { Log } from "../observe/log.ts";
import type { Platform } from "../platform.ts";
import { currentName } from "../schema/old-names.ts";
import type { FileField } from "../schema/schema.ts";
import { errorText } from "../util/errors.ts";
import type { FileRegistry } from "./file-registry.ts";
import type {
  FinishedPart,
  FileStorage,
  PresignedParts,
  PresignedRequest,
} from "./file-storage.ts";
import { MeteredContent, tooLarge } from "./metered-content.ts";
import type { IncomingFile } from "./upload-body.ts";
import { sha256 } from "../util/sha256.ts";

/** The services that the file service uses. */
export interface FileServices {
  readonly registry: FileRegistry;
  readonly storage: FileStorage;
  readonly model: () => DataModel;
  readonly platform: Platform;
  readonly maxBytes: number;
  readonly log: Log;
}

/** The field for which a file is uploaded. */
export interface Binding {
  readonly entity: string;
  readonly field: FileField;
}

/** An upload that its sender announces. */
export interface PendingUpload {
  readonly name: string;
  readonly contentType: string;
  readonly size: number;
  readonly checksum: string | null;
  readonly binding: Binding | null;
  /** Upload in this many parts, if the storage can. */
  readonly parts: number | null;
}

/** The target to which the content of an announced file is sent. */
export interface Announced {
  readonly file: FileRecord;
  /** A key instead of a request means an upload to this server, with the key. */
  readonly target:
    | { readonly request: PresignedRequest }
    | { readonly parts: PresignedParts }
    | { readonly key: string };
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

const PRESIGNED_S = 60 * 60;
/** Uploads to a signed URL begin within an hour, and may last long. */
const LATE_CONTENT_MS = 24 * 60 * 60 * 1000;
const KEY_BYTES = 32;

/**
 * Stores and deletes files. Each step is recorded before it is taken, so that after a crash
 * everything can be found again.
 */
export class FileService {
  readonly #services: FileServices;

  constructor(services: FileServices) {
    this.#services = services;
  }

  /**
   * The field that an upload names, if any.
   *
   * @throws PylonError ENTITY_NOT_FOUND, INVALID_COLUMN, MISSING_FIELD
   */
  bindingOf(entityName: string | null, fieldName: string | null): Binding | null {
    if (entityName === null && fieldName === null) return null;
    if (entityName === null || fieldName === null) {
      throw new PylonError(
        "MISSING_FIELD",
        "An upload for a field must have both entity and field.",
        { field: entityName === null ? "entity" : "field" },
      );
    }
    const entity = this.#services.model().entity(entityName);
    const wanted = currentName(entity, fieldName);
    const field = entity.fileFields.find(({ name }) => name === wanted);
    if (field !== undefined) return { entity: entity.name, field };
    const names = entity.fileFields.map(({ name }) => name);
    const meant = nearest(fieldName, names);
    throw new PylonError(
      "INVALID_COLUMN",
      `${entity.name} has no file field "${fieldName.slice(0, 80)}".`,
      {
        field: "field",
        hint:
          meant === undefined
            ? `Its file fields: ${names.join(", ") || "none"}.`
            : `Did you mean "${meant}"?`,
      },
    );
  }

  /** The maximum size of an upload, in bytes. */
  limitOf(binding: Binding | null): number {
    return Math.min(this.#services.maxBytes, binding?.field.file.maxBytes ?? Infinity);
  }

  /**
   * Stores a file that is uploaded through this server.
   *
   * @param checksum SHA-256 in hex that the content must have, or null
   * @param quota bytes that the caller may still upload
   * @throws PylonError PAYLOAD_TOO_LARGE, STORAGE_QUOTA_REACHED, INVALID_DATA, INVALID_MULTIPART,
   *   CHECKSUM_MISMATCH, STORAGE_UNAVAILABLE; then nothing is stored
   */
  async take(
    incoming: IncomingFile,
    caller: Caller,
    binding: Binding | null,
    checksum: string | null,
    quota: number,
  ): Promise<FileRecord> {
    const { registry } = this.#services;
    const { name, contentType } = incoming;
    if (binding !== null) checkFileRules(binding.entity, binding.field, { contentType, size: 0 });
    const maxBytes = Math.min(this.limitOf(binding), quota);
    const { file, room } = await registry.announceIncoming(
      {
        ownerId: caller.userId,
        name,
        contentType,
        checksum: null,
        ...columnsOf(binding),
        uploadKey: null,
      },
      Math.min(maxBytes, incoming.maxBytes ?? Infinity),
    );
    const content = new MeteredContent(incoming.content, { maxBytes: room, checksum });
    try {
      await this.#services.storage.put(file.id, content, { contentType });
    } catch (error) {
      // A storage that did not respond may still have stored the content, so the maintenance
      // deletes it.
      if (hasCode(error, "STORAGE_UNAVAILABLE"))
        await registry.markForDeletion(file.id, () => true);
      else await registry.forget(file.id);
      const hasNoRoom = room < maxBytes && content.size > room;
      throw hasNoRoom ? registry.storageReached() : error;
    }
    return this.#finish(file, content, caller);
  }

  /**
   * Announces a file whose content is uploaded later, directly to the storage if clients can reach
   * it.
   *
   * @param expiresIn how long the content may be uploaded, in seconds
   * @throws PylonError PAYLOAD_TOO_LARGE, INVALID_DATA, FILE_QUOTA_REACHED, STORAGE_QUOTA_REACHED,
   *   STORAGE_UNAVAILABLE
   */
  async announce(
    { name, contentType, size, checksum, binding, parts }: PendingUpload,
    caller: Caller,
    expiresIn: number = PRESIGNED_S,
  ): Promise<Announced> {
    const { registry, storage, platform } = this.#services;
    const limit = this.limitOf(binding);
    if (size > limit) throw tooLarge(limit);
    if (binding !== null) checkFileRules(binding.entity, binding.field, { contentType, size });
    const announced = { ownerId: caller.userId, name, contentType, size, checksum };
    const file = await registry.announceSigned(
      { ...announced, ...columnsOf(binding), uploadKey: null },
      MAX_PENDING_UPLOADS,
    );
    const expiresAt = platform.now() + expiresIn * 1000;
    const options = { contentType, size, checksum, expiresIn };
    try {
      const inParts = parts === null ? null : await storage.presignParts(file.id, parts, options);
      if (inParts !== null) {
        await registry.update(file.id, { multipartId: inParts.multipartId });
        return { file, target: { parts: inParts }, expiresAt };
      }
      const request = await storage.presignUpload(file.id, options);
      if (request !== null) return { file, target: { request }, expiresAt };
      const key = this.#newKey(expiresAt);
      await registry.update(file.id, { uploadKey: hashOf(key) });
      return { file, target: { key }, expiresAt };
    } catch (error) {
      await registry.forget(file.id);
      throw error;
    }
  }

  /**
   * Stores the content of an announced file that is uploaded to this server.
   *
   * @param key as returned by `announce`
   * @returns null if the key is not valid, or if the file was deleted
   * @throws PylonError INVALID_DATA, CHECKSUM_MISMATCH, STORAGE_UNAVAILABLE; then the upload can be
   *   retried
   */
  async receive(
    id: string,
    key: string,
    body: AsyncIterable<Uint8Array>,
  ): Promise<FileRecord | null> {
    const { registry, storage, platform } = this.#services;
    const uploadKey = hashOf(key);
    const file = await registry.takeUploadKey(id, uploadKey);
    if (file === null || platform.now() > Number(key.split(".")[1])) return null;
    const content = new MeteredContent(body, {
      maxBytes: file.size,
      size: file.size,
      checksum: file.checksum,
    });
    try {
      await storage.put(id, content, { contentType: file.contentType });
    } catch (error) {
      if (await registry.update(id, { uploadKey })) throw error;
      return null;
    }
    if (await registry.update(id, { checksum: content.checksum })) return file;
    if ((await registry.get(id))?.state === "ready") return file;
    // The file was deleted in the meantime.
    await storage.delete(id, null);
    return null;
  }

  /**
   * Makes a file readable whose content is in the storage. It is idempotent.
   *
   * @throws PylonError CONFLICT if there is no content or the upload is resumable, INVALID_DATA if
   *   the content differs from the announcement, STORAGE_UNAVAILABLE
   */
  async complete(
    file: FileRecord,
    parts: readonly FinishedPart[] | null,
    caller: Caller,
  ): Promise<FileRecord> {
    const { registry, storage } = this.#services;
    if (file.state === "ready") return file;
    // The checksum is verified after the last chunk.
    if (file.uploadOffset !== null)
      throw new PylonError("CONFLICT", "This upload is a file once its last piece is there.", {
        field: "id",
        hint: `Go on with it by PATCH /api/files/tus/${file.id}.`,
      });
    if (file.multipartId !== null) {
      if (parts === null)
        throw new PylonError("MISSING_FIELD", "This is a multipart upload: send its parts.", {
          field: "parts",
          hint: 'Send {"parts": [{"number": 1, "etag": "..."}]}.',
        });
      await storage.completeParts(file.id, file.multipartId, parts);
    }
    const stored = await storage.info(file.id);
    if (stored === null)
      throw new PylonError("CONFLICT", "The content has not been uploaded yet.", {
        hint: "Send it to the URL returned by /api/files/presign, then complete the upload.",
      });
    if (stored.size !== file.size) {
      await this.remove(file);
      throw new PylonError(
        "INVALID_DATA",
        `The content has ${stored.size} bytes, but ${file.size} were announced.`,
        { field: "size" },
      );
    }
    const finished = await registry.finish(
      file,
      { size: file.size, checksum: file.checksum },
      !caller.isGuest,
    );
    return finished ?? (await this.#finishedBefore(file.id));
  }

  /**
   * Deletes a file. If that fails now, the maintenance deletes it later.
   *
   * @returns false if it is in a row
   */
  async remove(file: FileRecord): Promise<boolean> {
    const { registry, log } = this.#services;
    if (!(await registry.markForDeletion(file.id, ({ linkedRow }) => linkedRow === null)))
      return false;
    try {
      await this.deleteNow(file);
    } catch (error) {
      log.warn("a file could not be deleted yet", {
        id: file.id,
        reason: errorText(error),
      });
    }
    return true;
  }

  /**
   * Deletes the content first: while the metadata exists, a failed deletion is found again. A URL
   * that the storage has signed can't be revoked, so content that is sent to it after the deletion
   * is deleted by the maintenance.
   */
  async deleteNow({ id, multipartId, createdAt }: FileRecord): Promise<void> {
    const { registry, storage, platform } = this.#services;
    await storage.delete(id, multipartId);
    const lastContentAt = createdAt + LATE_CONTENT_MS;
    if (storage.signsUploads && platform.now() < lastContentAt)
      await registry.deleteAgain(id, lastContentAt);
    else await registry.forget(id);
  }

  async #finish(
    file: FileRecord,
    { size, checksum }: MeteredContent,
    { isGuest }: Caller,
  ): Promise<FileRecord> {
    const { registry } = this.#services;
    const finished = await registry
      .finish(file, { size, checksum }, !isGuest)
      .catch(async (error: unknown): Promise<never> => {
        if (hasCode(error, "STORAGE_QUOTA_REACHED")) await this.remove(file);
        throw error;
      });
    if (finished !== null) return finished;
    await this.#services.storage.delete(file.id, null);
    throw new PylonError("CONFLICT", "The upload took too long and was aborted.", {
      hint: "Upload the file again.",
    });
  }

  async #finishedBefore(id: string): Promise<FileRecord> {
    const file = await this.#services.registry.get(id);
    if (file?.state === "ready") return file;
    throw new PylonError("FILE_NOT_FOUND", "The file does not exist.");
  }

  /**
   * Ends with the expiry time, which can't be changed, because the key is identified by its hash.
   */
  #newKey(expiresAt: number): string {
    const bytes = new Uint8Array(KEY_BYTES);
    this.#services.platform.random(bytes);
    return `${Buffer.from(bytes).toString("base64url")}.${expiresAt}`;
  }
}

/** The columns for the field of a file. */
export function columnsOf(binding: Binding | null): Pick<FileRecord, "boundEntity" | "boundField"> {
  return { boundEntity: binding?.entity ?? null, boundField: binding?.field.name ?? null };
}

function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof PylonError && error.code === code;
}

function hashOf(key: string): string {
  return sha256(key);
}
