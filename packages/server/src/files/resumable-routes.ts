import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { errorAnswer, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { routeTable } from "../request/route-table.ts";
import type { FileFinder } from "./file-finder.ts";
import type { FileService } from "./file-service.ts";
import type { GuestQuota } from "./guest-quota.ts";
import type { ResumableUploads } from "./resumable-uploads.ts";
import { bodyOf } from "./upload-body.ts";
import { toPendingUpload } from "./wire.ts";

/** The services that the routes for resumable uploads use. */
export interface ResumableRouteServices {
  readonly uploads: ResumableUploads;
  readonly files: FileService;
  readonly finder: FileFinder;
  readonly quota: GuestQuota;
  /** How long an unfinished upload is kept, in milliseconds. */
  readonly orphanMs: number;
}

const VERSION = "1.0.0";
const CHUNK_TYPE = "application/offset+octet-stream";
/** The maximum length of the header Upload-Metadata, in characters. */
const MAX_METADATA = 4096;

/**
 * Resumable uploads by the tus protocol 1.0.0, https://tus.io/protocols/resumable-upload: its core
 * and the extensions creation, expiration and termination. The last segment of an upload's URL is
 * the file's id.
 */
export function resumableRoutes(services: ResumableRouteServices): Route[] {
  const { get, post, patch, del } = routeTable(services);
  return [
    post("/api/files/tus", "signed-in", withErrorHeaders(create), {
      body: "none",
      scope: "files",
      mayNameAuthor: true,
    }),
    get("/api/files/tus/:id", "signed-in", withErrorHeaders(look), { scope: "files" }),
    patch("/api/files/tus/:id", "signed-in", withErrorHeaders(append), {
      body: "stream",
      scope: "files",
    }),
    del("/api/files/tus/:id", "signed-in", withErrorHeaders(terminate), { scope: "files" }),
  ];
}

type TusHandler = (
  services: ResumableRouteServices,
  context: RequestContext,
) => Answer | Promise<Answer>;

/** Rejects requests that do not use the supported version of the protocol. */
function withErrorHeaders(handler: TusHandler): TusHandler {
  return (services, context) => {
    if (context.request.headers.get("tus-resumable") === VERSION) return handler(services, context);
    const error = new PylonError(
      "UNSUPPORTED_VERSION",
      `The request does not use version ${VERSION} of the tus protocol.`,
      { field: "Tus-Resumable", hint: `Send the header Tus-Resumable: ${VERSION}.` },
    );
    return errorAnswer(error, context.requestId).withHeaders({ "Tus-Version": VERSION });
  };
}
async function create(
  { uploads, files, quota, orphanMs }: ResumableRouteServices,
  context: RequestContext,
): Promise<Response> {
  const { caller, address } = context;
  const { headers } = context.request;
  const size = wholeIn(headers, "Upload-Length");
  const metadata = metadataIn(headers.get("upload-metadata") ?? "");
  const upload = toPendingUpload(
    {
      name: metadata["filename"] ?? metadata["name"] ?? "upload",
      content_type: metadata["filetype"] ?? metadata["type"] ?? "",
      size,
      checksum: metadata["sha256"] ?? null,
      entity: metadata["entity"] ?? null,
      field: metadata["field"] ?? null,
      // The client chooses the size of its chunks.
      parts: 1,
    },
    files,
  );
  await quota.room(caller, address, size);
  const file = await uploads.create(upload, caller);
  await quota.count(caller, address, size);
  return answer(201, {
    Location: `/api/files/tus/${file.id}`,
    "Upload-Expires": new Date(file.createdAt + orphanMs).toUTCString(),
  });
}

async function look(
  { uploads, finder, orphanMs }: ResumableRouteServices,
  context: RequestContext,
): Promise<Response> {
  const file = await finder.manageable(context);
  const offset = await uploads.offset(file, context.caller);
  return answer(200, {
    "Upload-Offset": String(offset),
    "Upload-Length": String(file.size),
    "Cache-Control": "no-store",
    ...(file.state === "ready"
      ? {}
      : { "Upload-Expires": new Date(file.createdAt + orphanMs).toUTCString() }),
  });
}

async function append(
  { uploads, finder, orphanMs }: ResumableRouteServices,
  context: RequestContext,
): Promise<Response> {
  const { headers } = context.request;
  if (headers.get("content-type")?.toLowerCase() !== CHUNK_TYPE)
    throw new PylonError(
      "UNSUPPORTED_MEDIA_TYPE",
      `The Content-Type of a chunk must be ${CHUNK_TYPE}.`,
      {
        field: "Content-Type",
      },
    );
  const offset = wholeIn(headers, "Upload-Offset");
  const file = await finder.manageable(context);
  const body = (signal: AbortSignal): AsyncIterable<Uint8Array> => bodyOf(context.request, signal);
  const stored = await uploads.append(file, offset, body, context.caller);
  return answer(204, {
    "Upload-Offset": String(stored),
    "Upload-Expires": new Date(file.createdAt + orphanMs).toUTCString(),
  });
}

async function terminate(
  { uploads, files, finder }: ResumableRouteServices,
  context: RequestContext,
): Promise<Response> {
  const file = await finder.manageable(context);
  if (file.state === "ready")
    throw new PylonError("CONFLICT", "This upload is already complete.", {
      hint: `DELETE /api/files/${file.id} deletes it.`,
    });
  await uploads.stop(file.id);
  await files.remove(file);
  return answer(204, {});
}

function answer(status: number, headers: Readonly<Record<string, string>>): Response {
  return new Response(null, { status, headers: { "Tus-Resumable": VERSION, ...headers } });
}

/** Reads a number of bytes from a header. @throws PylonError MISSING_FIELD, INVALID_DATA */
function wholeIn(headers: Headers, name: string): number {
  const text = headers.get(name);
  if (text === null)
    throw new PylonError("MISSING_FIELD", `The header ${name} is missing.`, { field: name });
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new PylonError("INVALID_DATA", `${name} must be a whole number of bytes.`, { field: name });
}

/** Parses `filename ZmlsZS50eHQ=,filetype dGV4dC9wbGFpbg==`. @throws PylonError INVALID_DATA */
function metadataIn(text: string): Readonly<Record<string, string>> {
  if (text.length > MAX_METADATA)
    throw new PylonError(
      "INVALID_DATA",
      `Upload-Metadata may have at most ${MAX_METADATA} characters.`,
      {
        field: "Upload-Metadata",
      },
    );
  const pairs = text.split(",").flatMap((pair) => {
    const [key = "", value = "", ...more] = pair.trim().split(" ");
    if (key === "") return [];
    if (more.length > 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value))
      throw new PylonError(
        "INVALID_DATA",
        `The value of "${key.slice(0, 40)}" in Upload-Metadata is not valid base64.`,
        {
          field: "Upload-Metadata",
        },
      );
    return [[key, Buffer.from(value, "base64").toString()] as const];
  });
  return Object.fromEntries(pairs);
}
