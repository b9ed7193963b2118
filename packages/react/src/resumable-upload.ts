import { defaultStorage, PylonClientError, type SyncEngine } from "@pylonsync/sync";
import type { UploadRequest } from "./upload-request.ts";
import type { UploadedFile } from "./uploads.ts";
import { sendXhr, type XhrAnswer, type XhrRequest } from "./xhr.ts";

/** The size of an S3 part, so that a piece never waits for the next one. */
const PIECE_BYTES = 5 * 1024 * 1024;
/** Larger files are sent in pieces; up to this size a single request is faster. */
export const SINGLE_BYTES = 1024 * 1024;
/** A connection without traffic for this time is considered lost. */
const SILENCE_MS = 30_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** The number of consecutive failures without progress after which the upload fails. */
const MAX_FAILURES = 10;
/** The maximum number of unfinished uploads that a browser remembers; the newest are kept. */
const MAX_REMEMBERED = 50;
const REMEMBERED_KEY = "pylon:uploads";

/** An `UploadRequest` that reports when it waits for the connection. */
export interface ResumableRequest extends UploadRequest {
  readonly onWaiting: () => void;
}

/** The values that identify an upload. */
export type UploadIdentity = Pick<UploadRequest, "sync" | "file" | "target">;

/**
 * Uploads a file in pieces with the tus protocol. It waits for a lost connection to come back, and
 * resumes an unfinished upload of the same file, even from an earlier visit.
 *
 * @throws PylonClientError if the server rejects it, or is unreachable for minutes
 */
export async function sendResumable(request: ResumableRequest): Promise<UploadedFile> {
  const { sync, file, signal, onProgress, onWaiting } = request;
  const key = identityOf(request);
  // Another user may have signed in when the upload begins again.
  const start = sync.session.named("/api/files/tus");
  let path = remembered()[key] ?? null;
  let offset: number | null = null;
  let stored = -1;
  let failures = 0;
  let beginnings = 0;
  for (;;)
    try {
      if (path === null) {
        beginnings += 1;
        path = await begin(request, start);
        remember(key, path);
        offset = 0;
      }
      offset ??= await offsetOf({ sync, path, signal });
      for (;;) {
        if (offset > stored) failures = 0;
        stored = offset;
        onProgress(offset / file.size);
        if (offset >= file.size) break;
        offset = await sendPiece(request, path, offset);
      }
      forget(key);
      return { ...fileOf(path), size: file.size };
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      offset = null;
      if (isGone(error) && beginnings === 0) {
        // The upload has expired, or belongs to another user.
        forget(key);
        path = null;
      } else if (failures > MAX_FAILURES || !isTemporary(error)) throw error;
      else {
        onWaiting();
        await pause(sync, Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1)), signal);
      }
    }
}

/** Cancels an unfinished upload, also on the server, which would otherwise keep it for a day. */
export async function giveUp(upload: UploadIdentity): Promise<void> {
  const key = identityOf(upload);
  const path = remembered()[key];
  if (path === undefined) return;
  forget(key);
  // If the server is unreachable, the upload expires.
  await speak({ sync: upload.sync, method: "DELETE", path, headers: {} }).catch(() => undefined);
}

async function begin(
  { sync, file, target, signal }: ResumableRequest,
  path: string,
): Promise<string> {
  const metadata = { filename: file.name, filetype: file.type, ...target };
  const answer = await speak({
    sync,
    method: "POST",
    path,
    headers: {
      "Upload-Length": String(file.size),
      "Upload-Metadata": Object.entries(metadata)
        .map(([name, value]) => `${name} ${base64(value)}`)
        .join(","),
    },
    signal,
  });
  const location = answer.header("Location");
  if (location === null) throw unexpected("Location");
  return location;
}

async function offsetOf(request: Pick<XhrRequest, "sync" | "path" | "signal">): Promise<number> {
  // The response to a HEAD request does not contain the reason of a rejection.
  return offsetIn(await speak({ ...request, method: "GET", headers: {} }));
}

async function sendPiece(
  { sync, file, signal, onProgress }: ResumableRequest,
  path: string,
  offset: number,
): Promise<number> {
  const answer = await speak({
    sync,
    method: "PATCH",
    path,
    headers: {
      "Content-Type": "application/offset+octet-stream",
      "Upload-Offset": String(offset),
    },
    body: file.slice(offset, offset + PIECE_BYTES),
    signal,
    onProgress: (sent) => onProgress(Math.min(1, (offset + sent) / file.size)),
  });
  return offsetIn(answer);
}

function speak({ headers, ...request }: XhrRequest): Promise<XhrAnswer> {
  const all = { "Tus-Resumable": "1.0.0", ...headers };
  return sendXhr({ ...request, headers: all, silenceMs: SILENCE_MS });
}

function offsetIn({ header }: XhrAnswer): number {
  const text = header("Upload-Offset");
  if (text === null || !/^\d+$/.test(text)) throw unexpected("Upload-Offset");
  return Number(text);
}

function fileOf(path: string): Pick<UploadedFile, "id" | "url"> {
  const id = path.slice(path.lastIndexOf("/") + 1);
  return { id, url: `/api/files/${id}` };
}

/** Waits, at most until the browser reports that it is online. */
function pause(sync: SyncEngine, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stops = [sync.platform.after(ms, resolve), sync.platform.onOnline(resolve)];
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  return promise.finally(() => {
    for (const stop of stops) stop();
    signal.removeEventListener("abort", abort);
  });
}

function isGone(error: unknown): boolean {
  return error instanceof PylonClientError && error.status === 404;
}

/** Whether the error is temporary. After a wrong offset, the offset is requested again. */
function isTemporary(error: unknown): boolean {
  if (!(error instanceof PylonClientError)) return false;
  const { status } = error;
  return status === 0 || status >= 500 || [408, 409, 429].includes(status);
}

function unexpected(header: string): PylonClientError {
  return PylonClientError.ofClient(
    "UNEXPECTED_ANSWER",
    `The server's answer has no header ${header}.`,
  );
}

/** A modified file, or one chosen by another user, is a different upload. */
function identityOf({ sync, file, target }: UploadIdentity): string {
  const { name, type, size, lastModified } = file;
  const place = target === null ? [] : [target.entity, target.field];
  const owner = sync.session.current.userId;
  return JSON.stringify([sync.baseUrl, owner, name, type, size, lastModified, ...place]);
}

/** The URLs of this browser's unfinished uploads by identity, the oldest first. */
function remembered(): Readonly<Record<string, string>> {
  try {
    const kept: unknown = JSON.parse(defaultStorage().get(REMEMBERED_KEY) ?? "{}");
    if (typeof kept !== "object" || kept === null) return {};
    return Object.fromEntries(Object.entries(kept).filter(([, path]) => typeof path === "string"));
  } catch {
    return {};
  }
}

function remember(key: string, path: string): void {
  const { [key]: _, ...others } = remembered();
  keep([...Object.entries(others), [key, path] as const].slice(-MAX_REMEMBERED));
}

function forget(key: string): void {
  keep(Object.entries(remembered()).filter(([other]) => other !== key));
}

function keep(entries: readonly (readonly [string, string])[]): void {
  const storage = defaultStorage();
  try {
    if (entries.length === 0) storage.remove(REMEMBERED_KEY);
    else storage.set(REMEMBERED_KEY, JSON.stringify(Object.fromEntries(entries)));
  } catch {
    // The storage is full: the upload continues, but can't be resumed after a reload.
  }
}

/** Encodes the UTF-8 bytes of the text. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
