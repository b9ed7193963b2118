import { PylonError } from "@pylonsync/protocol";
import type { FileRecord } from "../data/file-record.ts";
import { normaliseContentType } from "./content-type.ts";
import { isRecord } from "../util/is-record.ts";
import { cleanFileName } from "./file-name.ts";
import type { Announced, PendingUpload, FileService } from "./file-service.ts";
import type { FinishedPart } from "./file-storage.ts";

const MAX_PARTS = 10_000;
/** The maximum that S3 accepts in one request; larger uploads need parts. */
const MAX_SINGLE_BYTES = 5 * 1024 * 1024 * 1024;

/** A file as the API shows it. */
export function toFileAnswer({
  id,
  name,
  contentType,
  size,
  checksum,
}: FileRecord): Readonly<Record<string, unknown>> {
  return { id, url: `/api/files/${id}`, name, size, content_type: contentType, checksum };
}

/** @param origin the origin of this server, as the client knows it */
export function toPresignAnswer(
  { file, target, expiresAt }: Announced,
  origin: string,
): Readonly<Record<string, unknown>> {
  const common = {
    id: file.id,
    url: `/api/files/${file.id}`,
    complete_url: `/api/files/${file.id}/complete`,
    expires_at: new Date(expiresAt).toISOString(),
  };
  if ("parts" in target)
    return {
      ...common,
      parts: target.parts.parts.map(({ number, url }) => ({ number, method: "PUT", url })),
    };
  const request =
    "request" in target
      ? target.request
      : {
          url: `${origin}/api/files/${file.id}/content?key=${target.key}`,
          headers: { "Content-Type": file.contentType },
        };
  return { ...common, upload: { method: "PUT", ...request } };
}

/** @throws PylonError MISSING_FIELD, INVALID_DATA */
export function toPendingUpload(body: unknown, files: FileService): PendingUpload {
  const { name, content_type: contentType, size, checksum, entity, field, parts } = asObject(body);
  if (typeof name !== "string")
    throw new PylonError("MISSING_FIELD", '"name" is missing or not a string.', { field: "name" });
  if (typeof contentType !== "string")
    throw new PylonError("MISSING_FIELD", '"content_type" is missing or not a string.', {
      field: "content_type",
    });
  if (size === undefined)
    throw new PylonError("MISSING_FIELD", '"size" is missing.', {
      field: "size",
      hint: "Send the size in bytes.",
    });
  if (!isWhole(size, 0, Number.MAX_SAFE_INTEGER))
    throw new PylonError("INVALID_DATA", '"size" must be a whole number of bytes.', {
      field: "size",
    });
  if (parts !== undefined && !isWhole(parts, 1, MAX_PARTS))
    throw new PylonError("INVALID_DATA", `"parts" must be a whole number from 1 to ${MAX_PARTS}.`, {
      field: "parts",
    });
  if (parts === undefined && size > MAX_SINGLE_BYTES) {
    throw new PylonError("INVALID_DATA", "A single request may upload at most 5 GiB.", {
      field: "parts",
      hint: 'Send "parts" too.',
    });
  }
  return {
    name: cleanFileName(name),
    contentType: normaliseContentType(contentType),
    size,
    checksum: checksumOf(checksum ?? null, "checksum"),
    binding: files.bindingOf(textOrNull(entity, "entity"), textOrNull(field, "field")),
    parts: parts ?? null,
  };
}

/** @throws PylonError INVALID_DATA */
export function toFinishedParts(body: unknown): readonly FinishedPart[] | null {
  const { parts } = asObject(body);
  if (parts === undefined) return null;
  if (!Array.isArray(parts) || parts.length === 0 || parts.length > MAX_PARTS) throw invalidParts();
  const finished = parts.map((part: unknown): FinishedPart => {
    const { number, etag } = asObject(part);
    if (!isWhole(number, 1, MAX_PARTS) || typeof etag !== "string" || etag.length > 200)
      throw invalidParts();
    return { number, etag };
  });
  return finished.toSorted((a, b) => a.number - b.number);
}

/** @returns lower case hex @throws PylonError INVALID_DATA */
export function checksumOf(value: unknown, field: string): string | null {
  if (value === null) return null;
  if (typeof value === "string" && /^[0-9a-fA-F]{64}$/.test(value)) return value.toLowerCase();
  throw new PylonError("INVALID_DATA", `${field} must be a SHA-256 in hex, 64 characters.`, {
    field,
  });
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
}

function textOrNull(value: unknown, field: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  throw new PylonError("INVALID_DATA", `"${field}" must be a string.`, { field });
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  if (isRecord(value)) return value;
  throw new PylonError("INVALID_DATA", "The value must be an object.");
}

function invalidParts(): PylonError {
  return new PylonError("INVALID_DATA", '"parts" must be a list of {"number", "etag"}.', {
    field: "parts",
  });
}
