import type { DocumentReady } from "@pylonsync/protocol";
import type { Subscriber } from "../connections/subscriber.ts";

/**
 * A socket that is subscribed to documents. It receives the frames of one document at a time: a
 * slow reader of many documents has only those of one in its queue.
 */
export class DocumentReader {
  readonly subscriber: Subscriber;
  readonly #waiting = new Set<() => void>();
  #isBusy = false;

  constructor(subscriber: Subscriber) {
    this.subscriber = subscriber;
  }

  /** Whether the previous frames were read. */
  get isFree(): boolean {
    return !this.#isBusy;
  }

  /** Calls `retry` once the previous frames were read. */
  whenFree(retry: () => void): void {
    this.#waiting.add(retry);
  }

  /** Sends frames to a free reader, and what follows them. */
  send(frames: readonly Uint8Array[], ready: DocumentReady | null): void {
    for (const frame of frames) this.subscriber.sendBytes(frame);
    if (ready !== null) this.subscriber.send(JSON.stringify(ready));
    this.#isBusy = true;
    void this.subscriber.drained().then(() => {
      this.#isBusy = false;
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const retry of waiting) retry();
    });
  }
}
