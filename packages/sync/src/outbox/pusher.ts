import {
  MAX_PUSH_BYTES,
  MAX_PUSH_CHANGES,
  isPushResponse,
  type PushResponse,
  type PushResult,
} from "@pylonsync/protocol";
import { isTimeout, isUnreachable, parseAnswer, unexpected } from "../connection/answer.ts";
import { Backoff } from "../platform/backoff.ts";
import { PylonClientError } from "../connection/errors.ts";
import type { EngineBus } from "../connection/events.ts";
import type { HttpClient } from "../connection/http.ts";
import type { MutationQueue, PendingMutation } from "./mutation-queue.ts";
import type { SocketPush } from "./socket-push.ts";
import { unsendable, utf8Length } from "./plain.ts";
import type { Platform } from "../platform/platform.ts";
import { isTooLarge, writeFailureOf } from "./write-failure.ts";

/** The minimum size to which a failing batch is reduced, in bytes. */
const MIN_PUSH_BYTES = 16 * 1024;
/** The overhead of a request, in bytes. */
const ENVELOPE_BYTES = 256;
/** A request that is older than a new connection by this many milliseconds is sent again. */
const SUPERSEDED_MS = 5_000;

/** The dependencies and callbacks of a pusher. */
export interface PusherOptions {
  readonly http: HttpClient;
  /** Sends pushes over the live connection of this tab, once it is loaded. */
  readonly live?: { readonly mode: { readonly pushes: Pick<SocketPush, "push"> } | null } | null;
  readonly queue: MutationQueue;
  readonly platform: Platform;
  readonly retryDelay: number;
  readonly clientId: string;
  /** The change log position of the replica. */
  readonly replicaSeq: () => number;
  /** The user whose writes may be sent now; undefined while unknown. */
  readonly userId: () => string | null | undefined;
  /**
   * Verifies that the writes belong to the current user, and were not sent by another tab.
   *
   * @throws PylonClientError
   */
  readonly prepare: () => Promise<void>;
  /** Called with entries before they are sent. */
  readonly onSend: (entries: readonly PendingMutation[]) => void;
  readonly events: EngineBus;
}

/** The changes of one request. */
interface Batch {
  readonly entries: readonly PendingMutation[];
  readonly bytes: number;
}

/**
 * Sends the queue: one request at a time, in order, with retries until the server has responded.
 * docs/sync.md explains the responses.
 */
export class Pusher {
  readonly #options: PusherOptions;
  readonly #backoff: Backoff;
  #isRunning = false;
  #cancelRetry: () => void = () => undefined;
  #isStopped = true;
  /** The server has requested a pause until this time. */
  #pausedUntil = -Infinity;
  #maxChanges = MAX_PUSH_CHANGES;
  #maxBytes = MAX_PUSH_BYTES;
  /** The largest size that the server, or a proxy, is known to accept. */
  #bytesTaken = MAX_PUSH_BYTES;
  #request: { readonly abort: AbortController; readonly sentAt: number } | null = null;

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

  /** Sends pending writes now, or after a pause that the server has requested. */
  flush(): void {
    if (this.#isRunning) return;
    this.#cancelRetry();
    const { platform } = this.#options;
    const wait = this.#pausedUntil - platform.now();
    if (wait > 0) this.#cancelRetry = platform.after(wait, () => this.flush());
    else void this.#run();
  }

  /** There is a new connection: a much older request may be lost, and is sent again. */
  resend(): void {
    const request = this.#request;
    if (request !== null && this.#options.platform.now() - request.sentAt > SUPERSEDED_MS)
      request.abort.abort();
    this.flush();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (this.#sendable().length > 0 && (await this.#send()));
    } finally {
      this.#isRunning = false;
    }
  }

  #sendable(): readonly PendingMutation[] {
    const { queue, userId } = this.#options;
    const user = userId();
    if (this.#isStopped || user === undefined) return [];
    return queue.pending().filter(({ userId: maker }) => maker === user);
  }

  /** Returns as many changes as fit into a request, or a single one of any size. */
  #nextBatch(): Batch {
    const entries: PendingMutation[] = [];
    let bytes = ENVELOPE_BYTES;
    for (const entry of this.#sendable()) {
      const size = bytesOf(entry.change);
      const isFull = entries.length === this.#maxChanges || bytes + size > this.#maxBytes;
      if (isFull && entries.length > 0) break;
      entries.push(entry);
      bytes += size;
    }
    return { entries, bytes };
  }

  /** @returns whether to continue immediately */
  async #send(): Promise<boolean> {
    const { queue, replicaSeq, prepare, onSend, platform } = this.#options;
    const request = { abort: new AbortController(), sentAt: platform.now() };
    let batch: Batch = { entries: [], bytes: 0 };
    try {
      await prepare();
      // From here to the request everything is synchronous, so that the user can't change in
      // between.
      batch = this.#nextBatch();
      if (batch.entries.length === 0) return false;
      this.#request = request;
      onSend(batch.entries);
      const answer = await this.#ask(batch, request.abort.signal);
      queue.answer(answer.results ?? [], answer.cursor.last_seq, replicaSeq());
      this.#backoff.reset();
      this.#maxChanges = Math.min(MAX_PUSH_CHANGES, this.#maxChanges * 2);
      this.#maxBytes = Math.min(this.#bytesTaken, this.#maxBytes * 2);
      return true;
    } catch (error) {
      return request.abort.signal.aborted || this.#fail(error, batch);
    } finally {
      this.#request = null;
    }
  }

  async #ask({ entries, bytes }: Batch, signal: AbortSignal): Promise<PushResponse> {
    const { http, live, clientId } = this.#options;
    if (bytes === Infinity) throw unsendable("The change can't be sent as JSON.");
    const body = {
      changes: entries.map(({ change }) => change),
      client_id: clientId,
      // The cookie may be that of another user by now: the server then refuses the request.
      user_id: entries[0]?.userId,
      results: true,
    };
    const answer = parseAnswer(
      isPushResponse,
      await (live?.mode?.pushes.push(body) ??
        http.request("POST", "/api/sync/push", body, {}, { signal })),
    );
    // If the response contains none of them, retrying immediately would loop forever.
    const answered = new Set(answer.results?.map(({ op_id: id }) => id));
    if (!entries.some(({ id }) => answered.has(id))) throw unexpected();
    return answer;
  }

  /** @returns whether to continue immediately */
  #fail(error: unknown, { entries, bytes }: Batch): boolean {
    const { queue, replicaSeq, events } = this.#options;
    const failure = writeFailureOf(error);
    const [first] = entries;
    if (failure === "unauthorized") {
      events.emit({ type: "unauthorized" });
      return false;
    }
    this.#shrink(error, bytes);
    if (failure === "later" || first === undefined) {
      this.#retryLater(error);
      if (isUnreachable(error)) events.emit({ type: "unreachable" });
      return false;
    }
    // The server rejected the whole request: find the change that causes it.
    if (entries.length > 1) this.#maxChanges = Math.ceil(entries.length / 2);
    else queue.answer([refusal(first, error)], 0, replicaSeq());
    return true;
  }

  /** Reduces the next batch if this one was too large, for the server or the timeout. */
  #shrink(error: unknown, bytes: number): void {
    const half = Math.max(MIN_PUSH_BYTES, Math.floor(Math.min(bytes, this.#maxBytes) / 2));
    if (isTooLarge(error)) this.#bytesTaken = half;
    if (isTooLarge(error) || isTimeout(error)) this.#maxBytes = half;
  }

  #retryLater(error: unknown): void {
    const { platform } = this.#options;
    const asked = error instanceof PylonClientError ? (error.retryAfter ?? 0) * 1000 : 0;
    this.#pausedUntil = platform.now() + asked;
    this.#cancelRetry = platform.after(Math.max(asked, this.#backoff.next()), () => this.flush());
  }
}

/** Infinity for data that JSON can't represent, such as a write stored by an earlier version. */
function bytesOf(change: PendingMutation["change"]): number {
  try {
    return utf8Length(JSON.stringify(change)) + 1;
  } catch {
    return Infinity;
  }
}

function refusal({ id }: PendingMutation, error: unknown): PushResult {
  const { code, message, hint, field } = error as PylonClientError;
  return {
    op_id: id,
    status: "refused",
    error: { code, message, hint, field },
  };
}
