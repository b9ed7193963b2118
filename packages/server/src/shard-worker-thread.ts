import { extname, join } from "node:path";
import type { Platform } from "./platform.ts";
import {
  encodeToThread,
  type ShardThread,
  type ThreadReport,
  type ToThread,
} from "./shards/thread-messages.ts";

/** In the same folder, and of the same type: TypeScript, or JavaScript once it is bundled. */
const WORKER = join(import.meta.dir, `shard-worker${extname(import.meta.path)}`);

/** Starts a thread for one shard. Messages that are posted in one turn are sent as one. */
export function startShardThread({ soon }: Pick<Platform, "soon">): ShardThread {
  const worker = new Worker(WORKER, { ref: false });
  let waiting: ToThread[] = [];
  let failure: unknown = null;
  const thread: ShardThread = {
    post(message) {
      waiting.push(message);
      if (waiting.length > 1) return;
      soon(() => {
        worker.postMessage(encodeToThread(waiting));
        waiting = [];
      });
    },
    onMessage: () => undefined,
    onEnd: () => undefined,
    terminate: () => worker.terminate(),
  };
  worker.addEventListener("message", ({ data }: MessageEvent<ThreadReport>) =>
    thread.onMessage(data),
  );
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    failure = new Error(event.message);
  });
  worker.addEventListener("close", () =>
    thread.onEnd(failure ?? new Error("The thread has ended.")),
  );
  return thread;
}
