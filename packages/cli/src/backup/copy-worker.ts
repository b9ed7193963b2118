/**
 * Copies a database on a thread of its own: SQLite's copy holds up its thread until it is whole,
 * and the server's has requests to answer.
 */
import { copyDatabase } from "@pylonsync/server";

declare const self: Worker;

/** What the worker is asked to copy. */
export interface CopyRequest {
  readonly from: string;
  readonly to: string;
}

/** Null: it is there. What SQLite said otherwise. */
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
