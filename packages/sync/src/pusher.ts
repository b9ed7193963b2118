import { PushResponseSchema, type PushResult } from "@pylonsync/protocol";
import * as v from "valibot";
import { Backoff } from "./backoff.ts";
import { PylonClientError } from "./errors.ts";
import { isTransient, isUnreachable, type HttpClient } from "./http.ts";
import type { MutationQueue, PendingMutation } from "./mutation-queue.ts";
import type { Platform } from "./platform.ts";

const BATCH = 500;

export interface PusherOptions {
  readonly http: HttpClient;
  readonly queue: MutationQueue;
  readonly platform: Platform;
  readonly retryDelay: number;
  readonly clientId: string;
  /** The change up to which the replica knows everything. */
  readonly replicaSeq: () => number;
  /** The user whose writes may be sent now; undefined when it is not known yet. */
  readonly userId: () => string | null | undefined;
  /**
   * Makes sure that what is sent is the sender's, and was not sent by another tab.
   *
   * @throws PylonClientError
   */
  readonly prepare: () => Promise<void>;
  /** The server does not know the token any more. */
  readonly onUnauthorized: () => void;
  /** The network is gone, whatever the live connection thinks. */
  readonly onUnreachable: () => void;
}

/**
 * Sends the queue: one request at a time, in order, again and again until the server has answered.
 */
export class Pusher {
  readonly #options: PusherOptions;
  readonly #backoff: Backoff;
  #isRunning = false;
  #cancelRetry: () => void = () => undefined;
  #isStopped = true;

  constructor(options: PusherOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.platform, options.retryDelay);
  }

  start(): void {
    this.#isStopped = false;
    this.flush();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelRetry();
  }

  /** Sends what is pending, now. */
  flush(): void {
    this.#cancelRetry();
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (;;) {
        if (this.#nextBatch().length === 0) return;
        if (!(await this.#send())) return;
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #nextBatch(): readonly PendingMutation[] {
    const { queue, userId } = this.#options;
    const user = userId();
    if (this.#isStopped || user === undefined) return [];
    return queue
      .pending()
      .filter(({ userId: maker }) => maker === user)
      .slice(0, BATCH);
  }

  /** @returns whether to go on at once */
  async #send(): Promise<boolean> {
    const { http, queue, clientId, replicaSeq, prepare } = this.#options;
    let batch: readonly PendingMutation[] = [];
    try {
      await prepare();
      // From here to the request nothing else runs: what is sent is sent as the one whose it is.
      batch = this.#nextBatch();
      if (batch.length === 0) return false;
      const body = {
        changes: batch.map(({ change }) => change),
        client_id: clientId,
        results: true,
      };
      const answer = v.parse(
        PushResponseSchema,
        await http.request("POST", "/api/sync/push", body),
      );
      queue.answer(answer.results ?? [], answer.cursor.last_seq, replicaSeq());
      this.#backoff.reset();
      return true;
    } catch (error) {
      if (error instanceof PylonClientError && error.status === 401) this.#options.onUnauthorized();
      else if (isTransient(error)) {
        this.#retryLater(error);
        if (isUnreachable(error)) this.#options.onUnreachable();
      } else if (error instanceof PylonClientError) {
        queue.answer(
          batch.map((entry) => refusal(entry, error)),
          0,
          replicaSeq(),
        );
        return batch.length > 0;
      }
      return false;
    }
  }

  #retryLater(error: unknown): void {
    const asked =
      error instanceof PylonClientError && error.retryAfter !== undefined
        ? error.retryAfter * 1000
        : 0;
    this.#cancelRetry = this.#options.platform.after(Math.max(asked, this.#backoff.next()), () =>
      this.flush(),
    );
  }
}

/** The server could make nothing of the whole request, so of none of its changes. */
function refusal(entry: PendingMutation, { code, message, hint }: PylonClientError): PushResult {
  return {
    op_id: entry.id,
    status: "refused",
    error: { code, message, ...(hint === undefined ? {} : { hint }) },
  };
}
