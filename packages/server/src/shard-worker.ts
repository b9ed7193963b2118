/** The thread of one isolated shard: loads its file, and runs it. */
import { loadShard } from "./app/load-shards.ts";
import { systemPlatform } from "./platform.ts";
import { ThreadedShard } from "./shards/shard-thread.ts";
import { decodeToThread, type ThreadReport, type ToThread } from "./shards/thread-messages.ts";

declare const self: Worker;

const port = {
  post: (report: ThreadReport) => self.postMessage(report),
  onMessage: (_message: ToThread): void => undefined,
};
new ThreadedShard({
  port,
  platform: systemPlatform,
  load: ({ file, root }) => loadShard(file, root),
});
self.onmessage = ({ data }: MessageEvent<string>) => {
  for (const message of decodeToThread(data)) port.onMessage(message);
};
