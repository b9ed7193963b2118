import type { ShardDefinition } from "@pylonsync/functions";
import type { Platform } from "../../platform.ts";
import { ThreadedShard } from "../shard-thread.ts";
import {
  decodeToThread,
  encodeToThread,
  type ShardSource,
  type ShardThread,
  type ThreadReport,
  type ToThread,
} from "../thread-messages.ts";

/**
 * Replaces a shard's thread in tests: the same code on the test's own thread, so that a test
 * controls its clock. Messages are copied as between threads, and arrive immediately.
 */
export class LoopbackThread implements ShardThread {
  onMessage: (report: ThreadReport) => void = () => undefined;
  onEnd: (error: unknown) => void = () => undefined;
  /** Whether it is stuck, like a thread whose handler does not return: no messages pass. */
  isStuck = false;
  isTerminated = false;
  /** Whether its answers wait, like those of a thread that has lost the processor. */
  isLate = false;
  #late: ThreadReport["events"][number][] = [];
  readonly #port = {
    post: ({ events, ...report }: ThreadReport): void => {
      if (this.isStuck || this.isTerminated) return;
      const all = [...this.#late, ...events];
      this.#late = this.isLate ? all.filter(({ kind }) => kind === "answer") : [];
      const sent = all.filter((event) => !this.#late.includes(event));
      this.onMessage(structuredClone({ ...report, events: sent }));
    },
    onMessage: (_message: ToThread): void => undefined,
  };

  constructor(platform: Platform, load: (source: ShardSource) => ShardDefinition) {
    new ThreadedShard({ port: this.#port, platform, load: async (source) => load(source) });
  }

  post(message: ToThread): void {
    if (this.isStuck || this.isTerminated) return;
    for (const received of decodeToThread(encodeToThread([message])))
      this.#port.onMessage(received);
  }

  terminate(): void {
    this.isTerminated = true;
  }
}
