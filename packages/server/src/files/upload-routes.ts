import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { originOf } from "../request/request-url.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { routeTable } from "../request/route-table.ts";
import { fileInUse, type FileFinder } from "./file-finder.ts";
import type { FileService } from "./file-service.ts";
import type { GuestQuota } from "./guest-quota.ts";
import { tooLarge } from "./metered-content.ts";
import { bodyOf, incomingFile } from "./upload-body.ts";
import {
  checksumOf,
  toFileAnswer,
  toPresignAnswer,
  toPendingUpload,
  toFinishedParts,
} from "./wire.ts";

/** The services that the routes for uploads use. */
export interface UploadServices {
  readonly files: FileService;
  readonly finder: FileFinder;
  readonly quota: GuestQuota;
  /** Whether a proxy reports in `X-Forwarded-Proto` which scheme the client used. */
  readonly trustsProxy: boolean;
}

/**
 * The routes for uploads: through the server, or announced and then sent to the target in the
 * response.
 */
export function uploadRoutes(services: UploadServices): Route[] {
  const { post, put, del } = routeTable(services);

  return [
    post("/api/files/upload", "signed-in", upload, {
      body: "stream",
      scope: "files",
      mayNameAuthor: true,
    }),
    post("/api/files/presign", "signed-in", presign, { scope: "files", mayNameAuthor: true }),
    put("/api/files/:id/content", "anyone", receive, { body: "stream", scope: "files" }),
    post("/api/files/:id/complete", "signed-in", complete, { body: "query", scope: "files" }),
    del("/api/files/:id", "signed-in", remove, { scope: "files" }),
  ];
}

async function upload({ files, quota }: UploadServices, context: RequestContext): Promise<Answer> {
  const { headers } = context.request;
  const binding = files.bindingOf(context.query("entity"), context.query("field"));
  const checksum = checksumOf(headers.get("x-checksum-sha256"), "X-Checksum-Sha256");
  const limit = files.limitOf(binding);
  // For a form it is the size of the whole form, so a form that only just fits is checked while it
  // is read.
  const isForm = headers.get("content-type")?.toLowerCase().startsWith("multipart/") === true;
  const length = Number(headers.get("content-length") ?? 0);
  if (!isForm && length > limit) throw tooLarge(limit);
  const { caller, address } = context;
  const room = await quota.room(caller, address, isForm ? null : length);
  await quota.count(caller, address, length);
  const file = await files.take(
    await incomingFile(context.request),
    caller,
    binding,
    checksum,
    room,
  );
  // A body without a Content-Length is counted when its size is known.
  if (length === 0) await quota.count(caller, address, file.size);
  return json(toFileAnswer(file), 201);
}

async function presign(
  { files, quota, trustsProxy }: UploadServices,
  context: RequestContext,
): Promise<Answer> {
  const { caller, address } = context;
  const upload = toPendingUpload(await context.json(), files);
  await quota.room(caller, address, upload.size);
  const announced = await files.announce(upload, caller);
  await quota.count(caller, address, upload.size);
  return json(toPresignAnswer(announced, foundAt(context, trustsProxy)), 201);
}

/** Open to anyone who has the key, like a presigned URL of S3. */
async function receive({ files }: UploadServices, context: RequestContext): Promise<Answer> {
  const file = await files.receive(
    context.param("id"),
    context.query("key") ?? "",
    bodyOf(context.request),
  );
  if (file === null)
    throw new PylonError(
      "FORBIDDEN",
      "This upload URL has been used, has expired or is not valid.",
      {
        hint: "Request another URL with POST /api/files/presign.",
      },
    );
  return json({ received: true });
}

async function complete(
  { files, finder }: UploadServices,
  context: RequestContext,
): Promise<Answer> {
  const file = await finder.manageable(context);
  return json(
    toFileAnswer(
      await files.complete(file, toFinishedParts(await context.json({})), context.caller),
    ),
  );
}

async function remove({ files, finder }: UploadServices, context: RequestContext): Promise<Answer> {
  const file = await finder.manageable(context);
  if (!(await files.remove(file))) throw fileInUse(file);
  return json({ deleted: true });
}

/**
 * The origin under which the client reached this server. A trusted proxy that terminates TLS
 * reports it.
 */
function foundAt({ request }: RequestContext, trustsProxy: boolean): string {
  const origin = originOf(request);
  const forwarded = trustsProxy ? request.headers.get("x-forwarded-proto") : null;
  return forwarded === "https" || forwarded === "http"
    ? `${forwarded}${origin.slice(origin.indexOf("://"))}`
    : origin;
}
