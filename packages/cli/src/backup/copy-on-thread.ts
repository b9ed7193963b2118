import type { CopyAnswer, CopyRequest } from "./copy-worker.ts";

/**
 * Copies a database beside the server that has it in this process.
 *
 * @param program of the thread
 * @throws Error with what SQLite said, or when the thread ended without a word
 */
export async function copyOnThread(
  request: CopyRequest,
  program = new URL("./copy-worker.ts", import.meta.url),
): Promise<void> {
  const worker = new Worker(program.href, { ref: false });
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
