import { PylonError } from "@pylonsync/protocol";
import type { FileRecord } from "../data/file-record.ts";
import type { Log } from "../observe/log.ts";
import type { RequestContext } from "../request/context.ts";
import { errorAnswer, type Answer, type JsonAnswer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { routeTable } from "../request/route-table.ts";
import { parseRange } from "./byte-range.ts";
import { servedAs } from "./content-type.ts";
import { fileNotFound, type FileFinder } from "./file-finder.ts";
import { contentDisposition } from "./file-name.ts";
import type { ByteRange, FileStorage } from "./file-storage.ts";

/** How long a redirect to the storage is valid, in seconds. */
const REDIRECT_S = 300;
/**
 * The browser may store it but must revalidate it each time, because the permission to read a file
 * can change.
 */
const CACHE_CONTROL = "private, no-cache";
/** A file that is opened on its own can't run or load anything. */
const CONTENT_SECURITY_POLICY = "sandbox; default-src 'none'";

/** The services that the routes for downloads use. */
export interface DownloadServices {
  readonly finder: FileFinder;
  readonly storage: FileStorage;
  /** Whether to redirect to the storage by default. */
  readonly direct: boolean;
  readonly log: Log;
}

/** The routes for downloads. */
export function downloadRoutes(services: DownloadServices): Route[] {
  const { get } = routeTable(services);

  return [get("/api/files/:id", "anyone", download, { scope: "files" })];
}

async function redirect(
  { storage }: DownloadServices,
  file: FileRecord,
  served: ReturnType<typeof servedAs>,
): Promise<Answer | null> {
  const url = await storage.presignDownload(file.id, {
    contentType: served.contentType,
    disposition: contentDisposition(served.disposition, file.name),
    expiresIn: REDIRECT_S,
  });
  return url === null
    ? null
    : new Response(null, {
        status: 302,
        headers: { Location: url, "Cache-Control": "private, no-store" },
      });
}

async function content(
  { log, storage }: DownloadServices,
  file: FileRecord,
  range: ByteRange,
): Promise<ReadableStream<Uint8Array> | Blob> {
  const body = await storage.get(file.id, range);
  if (body !== null) return body;
  log.error("the content of a file is missing from the storage", undefined, { id: file.id });
  throw fileNotFound();
}

async function download(services: DownloadServices, context: RequestContext): Promise<Answer> {
  const { request } = context;
  const file = await services.finder.readable(context);
  const served = servedAs(file.contentType, context.query("download") === "1");
  const mayRedirect = services.direct || context.query("redirect") === "1";
  if (request.method !== "HEAD" && mayRedirect) {
    const answer = await redirect(services, file, served);
    if (answer !== null) return answer;
  }
  const headers = headersOf(file, served);
  if (isUnchanged(request.headers.get("if-none-match"), headers.ETag))
    return new Response(null, { status: 304, headers });
  const range = askedRange(request.headers, file.size, headers.ETag);
  if (range === null) return notSatisfiable(file.size, context.requestId);
  return range === undefined
    ? send(services, request, file, { start: 0, end: file.size - 1 }, { status: 200, headers })
    : send(services, request, file, range, {
        status: 206,
        headers: {
          ...headers,
          "Content-Range": `bytes ${range.start}-${range.end}/${file.size}`,
        },
      });
}

/** @param range the part of the file to send; empty if it ends before it starts */
async function send(
  services: DownloadServices,
  { method }: Request,
  file: FileRecord,
  range: ByteRange,
  { status, headers }: { readonly status: number; readonly headers: Record<string, string> },
): Promise<Response> {
  const length = range.end + 1 - range.start;
  if (method === "HEAD" || length === 0)
    return new Response(null, { status, headers: { ...headers, "Content-Length": `${length}` } });
  return new Response(await content(services, file, range), { status, headers });
}

function headersOf(
  file: FileRecord,
  { contentType, disposition }: ReturnType<typeof servedAs>,
): Readonly<Record<string, string>> & { readonly ETag: string } {
  return {
    // Without a checksum the id is used, because the content of an id never changes.
    ETag: `"${file.checksum ?? file.id}"`,
    "Content-Type": contentType,
    "Content-Disposition": contentDisposition(disposition, file.name),
    "Accept-Ranges": "bytes",
    "Cache-Control": CACHE_CONTROL,
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  };
}

function isUnchanged(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  return (
    ifNoneMatch.trim() === "*" ||
    ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag)
  );
}

/**
 * Ignores the range if the client has another version, because the range would not match that
 * version.
 */
function askedRange(headers: Headers, size: number, etag: string): ByteRange | undefined | null {
  const ifRange = headers.get("if-range");
  return ifRange !== null && ifRange.trim() !== etag
    ? undefined
    : parseRange(headers.get("range"), size);
}

function notSatisfiable(size: number, requestId: string): JsonAnswer {
  return errorAnswer(
    new PylonError("RANGE_NOT_SATISFIABLE", `The file has ${size} bytes.`),
    requestId,
  ).withHeaders({ "Content-Range": `bytes */${size}` });
}
