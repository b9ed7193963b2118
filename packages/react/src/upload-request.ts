import { parseAnswer, type SyncEngine } from "@pylonsync/sync";
import { UploadedSchema, type UploadedFile } from "./uploads.ts";
import { sendXhr } from "./xhr.ts";

/** A file to upload, and its target. */
export interface UploadRequest {
  readonly sync: SyncEngine;
  readonly file: File;
  /** The field that the file is for: its restrictions are checked before the upload. */
  readonly target: { readonly entity: string; readonly field: string } | null;
  readonly signal: AbortSignal;
  /** Called with the fraction that has been sent: 0 to 1. */
  readonly onProgress: (part: number) => void;
}

/**
 * Uploads a file in one request.
 *
 * @throws PylonClientError, such as PAYLOAD_TOO_LARGE or UNREACHABLE
 */
export async function sendUpload({
  sync,
  file,
  target,
  signal,
  onProgress,
}: UploadRequest): Promise<UploadedFile> {
  const query = target === null ? "" : `?${new URLSearchParams({ ...target }).toString()}`;
  const { body } = await sendXhr({
    sync,
    method: "POST",
    path: sync.session.named(`/api/files/upload${query}`),
    headers: {
      "Content-Type": file.type || "application/octet-stream",
      "X-Filename": encodeURIComponent(file.name),
    },
    body: file,
    signal,
    onProgress: (sent) => onProgress(file.size === 0 ? 1 : Math.min(1, sent / file.size)),
  });
  return parseAnswer(UploadedSchema, body);
}
