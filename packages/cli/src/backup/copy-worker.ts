/**
 * Copies a database on a separate thread: SQLite's copy blocks its thread until it is complete, and
 * the server's thread must handle requests.
 */
import { copyDatabase } from "@pylonsync/server";

declare const self: Worker;

/** The request to the worker. */
export interface CopyRequest {
  readonly from: string;
  readonly to: string;
}

/** Null: the copy is complete. Otherwise the error of SQLite. */
export type CopyAnswer = { readonly message: string; readonly code: string | undefined } | null;

self.onmessage = ({ data: { from, to } }: MessageEvent<CopyRequest>) => {
  let answer: CopyAnswer = null;
  try {
    copyDatabase(from, to);
  } catch (error) {
    answer = {
      message: error instanceof Error ? error.message : String(error),
      code: error instanceof Error && "code" in error ? String(error.code) : undefined,
    };
  }
  self.postMessage(answer);
};
