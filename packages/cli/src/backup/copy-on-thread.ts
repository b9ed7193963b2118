import type { CopyAnswer, CopyRequest } from "./copy-worker.ts";

/**
 * Copies a database beside the server that has it in this process.
 *
 * @throws Error with what SQLite said
 */
export async function copyOnThread(request: CopyRequest): Promise<void> {
  const worker = new Worker(new URL("./copy-worker.ts", import.meta.url).href, { ref: false });
  try {
    const answer = await new Promise<CopyAnswer>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<CopyAnswer>) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(request);
    });
    if (answer !== null) throw Object.assign(new Error(answer.message), { code: answer.code });
  } finally {
    worker.terminate();
  }
}
