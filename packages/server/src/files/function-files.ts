import { MAX_FUNCTION_FILE_BYTES, PylonError } from "@pylonsync/protocol";
import type {
  FileRange,
  FnStorage,
  NewStoredFile,
  SignedUpload,
  StoredFile,
} from "@pylonsync/functions";
import { isFileId, type FileRecord } from "../data/file-record.ts";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import { isRecord } from "../util/is-record.ts";
import { normaliseContentType } from "./content-type.ts";
import { fileInUse, fileNotFound } from "./file-finder.ts";
import { MAX_LINK_S, type FileLinks } from "./file-links.ts";
import { cleanFileName } from "./file-name.ts";
import type { FileRegistry } from "./file-registry.ts";
import type { FileService } from "./file-service.ts";
import type { FileStorage } from "./file-storage.ts";
import { tooLarge } from "./metered-content.ts";

/** The services that `ctx.storage` uses. */
export interface FunctionFilesServices {
  readonly registry: FileRegistry;
  readonly files: FileService;
  readonly storage: FileStorage;
  readonly links: FileLinks;
  /** The URL under which browsers reach the server; null: links are paths. */
  readonly publicUrl: string | null;
}

const DEFAULT_LINK_S = 60 * 60;
/** The maximum time for a signed upload, in seconds. */
const MAX_UPLOAD_S = 60 * 60;
const OPTIONS: readonly string[] = ["name", "contentType", "ownerId", "entity", "field"];

/**
 * `ctx.storage`: all files of the app, including those of other users, because a function is
 * trusted code.
 */
export class FunctionFiles implements FnStorage {
  readonly #services: FunctionFilesServices;
  readonly #caller: Caller;

  /** @param caller the owner of new files, unless another one is given */
  constructor(services: FunctionFilesServices, caller: Caller) {
    this.#services = services;
    this.#caller = caller;
  }

  readonly write = async (content: unknown, options: unknown = {}): Promise<StoredFile> => {
    const bytes = bytesOf(content);
    const { name, contentType, ownerId, entity, field } = optionsOf(options, content);
    const { files } = this.#services;
    const binding = files.bindingOf(entity, field);
    const owner = ownerId === undefined ? this.#caller : ownerOf(ownerId, this.#caller);
    const stream = new Blob([bytes]).stream();
    const incoming = { name, contentType, content: stream, maxBytes: bytes.length };
    return this.#shown(await files.take(incoming, owner, binding, null, MAX_FUNCTION_FILE_BYTES));
  };

  readonly info = async (id: unknown): Promise<StoredFile | null> => {
    const file = await this.#find(id);
    return file === null ? null : this.#shown(file);
  };

  readonly read = async (
    id: unknown,
    range: FileRange = {},
  ): Promise<Uint8Array<ArrayBuffer> | null> => {
    const { start, end } = rangeOf(range);
    const file = await this.#find(id);
    if (file === null) return null;
    const last = Math.min(end, file.size) - 1;
    const length = last + 1 - start;
    if (length <= 0) return new Uint8Array();
    if (length > MAX_FUNCTION_FILE_BYTES)
      throw new PylonError(
        "PAYLOAD_TOO_LARGE",
        `A function may read at most ${MAX_FUNCTION_FILE_BYTES} bytes of a file at once.`,
        {
          field: "id",
          hint: `The file has ${file.size} bytes: read it in pieces, with { start, end }.`,
        },
      );
    const body = await this.#services.storage.get(file.id, { start, end: last });
    return body === null ? null : new Uint8Array(await new Response(body).arrayBuffer());
  };

  readonly sign = async (
    id: unknown,
    options: { readonly expiresInSecs?: number } = {},
  ): Promise<string> => {
    const { expiresInSecs = DEFAULT_LINK_S, ...others } = options;
    const [other] = Object.keys(others);
    if (other !== undefined)
      throw invalid(other, "ctx.storage.sign supports only the option expiresInSecs.");
    if (!Number.isInteger(expiresInSecs) || expiresInSecs < 1 || expiresInSecs > MAX_LINK_S)
      throw invalid(
        "expiresInSecs",
        `expiresInSecs must be a whole number from 1 to ${MAX_LINK_S}.`,
      );
    const file = await this.#find(id);
    if (file === null) throw fileNotFound();
    const { links, publicUrl } = this.#services;
    const path = await links.sign(file.id, expiresInSecs);
    return publicUrl === null ? path : new URL(path, publicUrl).href;
  };

  readonly signUpload = async (upload: unknown): Promise<SignedUpload> => {
    const { size, checksum, expiresInSecs, ...options } = uploadOf(upload);
    const { name, contentType, ownerId, entity, field } = optionsOf(options, null);
    const { files, publicUrl } = this.#services;
    const binding = files.bindingOf(entity, field);
    const owner = ownerId === undefined ? this.#caller : ownerOf(ownerId, this.#caller);
    const pending = { name, contentType, size, checksum, binding, parts: null };
    const { file, target, expiresAt } = await files.announce(pending, owner, expiresInSecs);
    if ("request" in target) return { id: file.id, method: "PUT", ...target.request, expiresAt };
    const key = "key" in target ? target.key : "";
    const path = `/api/files/${file.id}/content?key=${key}`;
    const url = publicUrl === null ? path : new URL(path, publicUrl).href;
    return { id: file.id, method: "PUT", url, headers: { "Content-Type": contentType }, expiresAt };
  };

  readonly complete = async (id: unknown): Promise<StoredFile | null> => {
    if (typeof id !== "string") throw invalid("id", "The id of a file must be a string.");
    const { registry, files, storage } = this.#services;
    const file = isFileId(id) ? await registry.get(id) : null;
    if (file === null || file.state === "deleting" || file.uploadOffset !== null) return null;
    if (file.state === "pending" && (await storage.info(id)) === null) return null;
    const isGuests = file.ownerId === this.#caller.userId && this.#caller.isGuest;
    const owner = { ...ANONYMOUS, isGuest: isGuests };
    return this.#shown(await files.complete(file, null, owner));
  };

  readonly delete = async (id: unknown): Promise<boolean> => {
    const file = await this.#find(id);
    if (file === null) return false;
    if (!(await this.#services.files.remove(file))) throw fileInUse(file);
    return true;
  };

  async #find(id: unknown): Promise<FileRecord | null> {
    if (typeof id !== "string") throw invalid("id", "The id of a file must be a string.");
    const file = isFileId(id) ? await this.#services.registry.get(id) : null;
    return file?.state === "ready" ? file : null;
  }

  #shown({ id, name, size, contentType, checksum, ownerId, createdAt }: FileRecord): StoredFile {
    const url = `/api/files/${id}`;
    return { id, url, name, size, contentType, checksum, ownerId, createdAt };
  }
}

/** @throws PylonError INVALID_ARGS, PAYLOAD_TOO_LARGE */
function bytesOf(content: unknown): Uint8Array<ArrayBuffer> {
  const bytes =
    typeof content === "string"
      ? Buffer.from(content)
      : content instanceof ArrayBuffer
        ? new Uint8Array(content)
        : content;
  if (!(bytes instanceof Uint8Array))
    throw invalid(
      "content",
      "The content of a file must be a string, a Uint8Array or an ArrayBuffer.",
    );
  if (bytes.length > MAX_FUNCTION_FILE_BYTES) throw tooLarge(MAX_FUNCTION_FILE_BYTES);
  // A copy, because the handler may change its own while this is stored.
  return new Uint8Array(bytes);
}

/** @throws PylonError INVALID_ARGS */
function optionsOf(
  options: unknown,
  content: unknown,
): {
  readonly name: string;
  readonly contentType: string;
  readonly ownerId: NewStoredFile["ownerId"];
  readonly entity: string | null;
  readonly field: string | null;
} {
  if (!isRecord(options))
    throw invalid("options", `The options must be an object with ${OPTIONS.join(", ")}.`);
  const other = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (other !== undefined) throw invalid(other, `A file has no option "${other.slice(0, 80)}".`);
  const { ownerId } = options;
  if (ownerId !== undefined && ownerId !== null && typeof ownerId !== "string")
    throw invalid("ownerId", "ownerId must be the id of a user, or null.");
  const usual = typeof content === "string" ? "text/plain; charset=utf-8" : null;
  return {
    name: cleanFileName(textOf(options, "name") ?? ""),
    contentType: normaliseContentType(textOf(options, "contentType") ?? usual),
    ownerId,
    entity: textOf(options, "entity"),
    field: textOf(options, "field"),
  };
}

/** @throws PylonError INVALID_ARGS */
function uploadOf(upload: unknown): Readonly<Record<string, unknown>> & {
  readonly size: number;
  readonly checksum: string | null;
  readonly expiresInSecs: number;
} {
  if (!isRecord(upload))
    throw invalid("upload", "The argument of ctx.storage.signUpload must be an object.");
  const { size, checksum = null, expiresInSecs = MAX_UPLOAD_S, ...options } = upload;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw invalid("size", "size must be a whole number of bytes.");
  if (checksum !== null && (typeof checksum !== "string" || !/^[0-9a-fA-F]{64}$/.test(checksum)))
    throw invalid("checksum", "checksum must be a SHA-256 in hex, 64 characters.");
  if (
    typeof expiresInSecs !== "number" ||
    !Number.isInteger(expiresInSecs) ||
    expiresInSecs < 1 ||
    expiresInSecs > MAX_UPLOAD_S
  )
    throw invalid(
      "expiresInSecs",
      `expiresInSecs must be a whole number from 1 to ${MAX_UPLOAD_S}.`,
    );
  return { ...options, size, checksum: checksum?.toLowerCase() ?? null, expiresInSecs };
}

/** @throws PylonError INVALID_ARGS */
function textOf(options: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = options[name];
  if (value === undefined) return null;
  if (typeof value !== "string") throw invalid(name, `${name} must be a string.`);
  return value;
}

/** @throws PylonError INVALID_ARGS */
function rangeOf({ start = 0, end = Infinity, ...others }: FileRange): {
  readonly start: number;
  readonly end: number;
} {
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw invalid(other, "ctx.storage.read supports only the options start and end.");
  const isPlace = (place: unknown): boolean => Number.isSafeInteger(place) && Number(place) >= 0;
  if (!isPlace(start)) throw invalid("start", "start must be a whole number of bytes, at least 0.");
  if (end !== Infinity && !isPlace(end))
    throw invalid("end", "end must be a whole number of bytes, at least 0.");
  return { start, end };
}

/** A guest's file is kept only in a row; whether another user is a guest is not known here. */
function ownerOf(ownerId: string | null, caller: Caller): Caller {
  return ownerId === caller.userId ? caller : { ...ANONYMOUS, userId: ownerId };
}

function invalid(field: string, message: string): PylonError {
  return new PylonError("INVALID_ARGS", message, { field });
}
