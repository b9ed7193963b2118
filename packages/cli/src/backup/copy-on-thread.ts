import { extname, join } from "node:path";
import type { CopyAnswer, CopyRequest } from "./copy-worker.ts";

/** In the same folder, with the same extension: TypeScript, or JavaScript if it is bundled. */
const WORKER = join(import.meta.dir, `copy-worker${extname(import.meta.path)}`);

/**
 * Copies a database of a running server on a separate thread.
 *
 * @param program the program of the thread
 * @throws Error with the message of SQLite, or if the thread ended without a result
 */
export async function copyOnThread(request: CopyRequest, program = WORKER): Promise<void> {
  const worker = new Worker(program, { ref: false });
  try {
    const answer = await new Promise<CopyAnswer>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<CopyAnswer>) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.addEventListener("close", () =>
        reject(new Error("The thread that copies the database ended before the copy did.")),
      );
      worker.postMessage(request);
    });
    if (answer !== null) throw Object.assign(new Error(answer.message), { code: answer.code });
  } finally {
    worker.terminate();
  }
}
