import type { SyncEngine } from "@pylonsync/sync";
import { useCallback, useEffect, useRef, useState } from "react";
import { problemOf } from "./auth/problem.ts";
import { useEngine } from "./provider.tsx";
import { giveUp, sendResumable, SINGLE_BYTES, type ResumableRequest } from "./resumable-upload.ts";
import { sendUpload, type UploadRequest } from "./upload-request.ts";
import type { UploadedFile } from "./uploads.ts";

/** Options of `useUpload`. */
export interface UseUploadOptions {
  /** Default: the engine of the nearest provider, or the app's. */
  readonly sync?: SyncEngine;
  /**
   * With `field`: the field that the file is for. Its restrictions are checked before the upload.
   */
  readonly entity?: string;
  readonly field?: string;
}

/** The result of `useUpload`. */
export interface UploadState {
  /** `waiting`: the connection is lost; the upload resumes automatically when it is back. */
  readonly status: "idle" | "sending" | "waiting" | "paused" | "done" | "failed";
  /** The last selected file. */
  readonly file: File | null;
  /** The fraction that has been sent: 0 to 1. */
  readonly progress: number;
  /** The stored file; null before the upload is complete. */
  readonly uploaded: UploadedFile | null;
  /** Why the upload failed, as a message for the user. */
  readonly error: string | null;
  /**
   * Uploads a file; an upload that is still running is cancelled.
   *
   * @returns the stored file; null if the upload failed or was cancelled
   */
  readonly upload: (file: File) => Promise<UploadedFile | null>;
  /**
   * Uploads the last file again. Files of more than 1 MiB resume where they stopped, also after a
   * page reload, when the same file is passed to `upload` again.
   */
  readonly retry: () => Promise<UploadedFile | null>;
  /** Pauses the upload; `resume` continues it. */
  readonly pause: () => void;
  /** Continues after `pause`, like `retry`. */
  readonly resume: () => Promise<UploadedFile | null>;
  /** Cancels the upload, and clears the file. */
  readonly cancel: () => void;
}

type Shown = Pick<UploadState, "status" | "file" | "progress" | "uploaded" | "error">;

const IDLE: Shown = { status: "idle", file: null, progress: 0, uploaded: null, error: null };

/**
 * Uploads a file with progress. Files of more than 1 MiB survive a lost connection and a page
 * reload. Store the resulting id in a row's file field: only the owner can read a file that no row
 * refers to.
 *
 * @example
 * function Photo() {
 *   const { upload, status, progress } = useUpload({ entity: "Todo", field: "photo" });
 *   return status === "sending" ? (
 *     <progress value={progress} />
 *   ) : (
 *     <input
 *       type="file"
 *       aria-label="Photo"
 *       onChange={({ target }) => target.files?.[0] && void upload(target.files[0])}
 *     />
 *   );
 * }
 */
export function useUpload({ sync: given, entity, field }: UseUploadOptions = {}): UploadState {
  const sync = useEngine(given);
  const [shown, setShown] = useState<Shown>(IDLE);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const upload = useCallback(
    async (file: File): Promise<UploadedFile | null> => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      const show = (now: Partial<Shown>): void => {
        if (running.current === controller) setShown({ ...IDLE, file, ...now });
      };
      let progress = 0;
      show({ status: "sending" });
      try {
        const uploaded = await sendFile({
          sync,
          file,
          target: targetOf(entity, field),
          signal: controller.signal,
          onProgress: (part) => {
            // Part of an interrupted piece may have to be sent again, so the progress must not go
            // back.
            progress = Math.max(progress, part);
            show({ status: "sending", progress });
          },
          onWaiting: () => show({ status: "waiting", progress }),
        });
        show({ status: "done", progress: 1, uploaded });
        return uploaded;
      } catch (reason) {
        show({ status: "failed", progress, error: problemOf(reason).text });
        return null;
      }
    },
    [sync, entity, field],
  );
  const { file } = shown;
  const stop = useCallback((): void => {
    const last = running.current;
    running.current = null;
    last?.abort();
  }, []);
  const cancel = useCallback((): void => {
    stop();
    setShown(IDLE);
    if (file !== null) void giveUp({ sync, file, target: targetOf(entity, field) });
  }, [stop, sync, file, entity, field]);
  const pause = useCallback((): void => {
    stop();
    setShown(paused);
  }, [stop]);
  const retry = useCallback(
    async () => (file === null ? null : await upload(file)),
    [file, upload],
  );
  return { ...shown, upload, retry, pause, resume: retry, cancel };
}

function paused(before: Shown): Shown {
  const isUnderWay = before.status === "sending" || before.status === "waiting";
  return isUnderWay ? { ...before, status: "paused" } : before;
}

function sendFile(request: ResumableRequest): Promise<UploadedFile> {
  return request.file.size > SINGLE_BYTES ? sendResumable(request) : sendUpload(request);
}

function targetOf(entity: string | undefined, field: string | undefined): UploadRequest["target"] {
  return entity === undefined || field === undefined ? null : { entity, field };
}
