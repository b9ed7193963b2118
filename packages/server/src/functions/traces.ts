import { MAX_TRACE_LINES, MAX_TRACE_OPS, MAX_TRACES } from "@pylonsync/protocol";
import type { FnStorage, FnType } from "@pylonsync/functions";
import { isRecord } from "../util/is-record.ts";
import type { Platform } from "../platform.ts";
import { startSpan } from "../observe/operation.ts";
import type { OnFetch } from "./function-fetch.ts";
import type { JobQueue, ScheduledCall } from "./scheduler.ts";

/** The `entity` of calls of `ctx.storage`. */
const FILE = "file";
/** The maximum length of a recorded line, in characters. */
const MAX_LINE_LENGTH = 500;

/**
 * An operation of a call on the database, on files (`entity` is `file`), or by `ctx.fetch`
 * (`entity` is the host).
 */
export interface TraceOp {
  readonly op: string;
  readonly entity: string | null;
  readonly id?: string;
  readonly duration_ms: number;
  readonly row_count?: number;
  readonly ok: boolean;
}

/** The outcome of a call. */
export type TraceOutcome =
  | { readonly status: "ok" }
  | { readonly status: "error"; readonly code: string; readonly message: string };

/** The outcome of most calls. */
export const SUCCEEDED: TraceOutcome = { status: "ok" };

/** A call in the response of `GET /api/fn/traces`: times, without values of rows. */
export interface Trace {
  readonly call_id: string;
  readonly request_id: string;
  readonly fn_name: string;
  readonly fn_type: FnType;
  readonly user_id: string | null;
  /** Whether it ran in a separate process. */
  readonly isolated: boolean;
  readonly started_at: number;
  readonly duration_ms: number;
  readonly outcome: TraceOutcome;
  readonly ops: readonly TraceOp[];
  readonly ops_total: number;
  readonly console: readonly { readonly level: string; readonly text: string }[];
  readonly console_total: number;
  readonly stream_bytes: number;
  readonly stream_chunks: number;
  readonly schedules: readonly { readonly fn_name: string; readonly at: number }[];
}

/** The most recent calls of functions. */
export class Traces {
  readonly #kept: CallTrace[] = [];
  #next = 0;
  #added = 0;

  /** Adds a call that has ended. */
  add(call: CallTrace, outcome: TraceOutcome): void {
    this.#added += 1;
    call.end(this.#added, outcome);
    this.#kept[this.#next] = call;
    this.#next = (this.#next + 1) % MAX_TRACES;
  }

  /** Returns the most recent calls, the newest first. */
  newest(limit: number): Trace[] {
    const { length } = this.#kept;
    const inOrder = [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)];
    return inOrder
      .slice(Math.max(0, length - limit))
      .toReversed()
      .map((call) => call.shown());
  }
}

/** The destination of `ctx.stream`. */
interface TextStream {
  write(text: string): Promise<void>;
  writeEvent(event: string, text: string): Promise<void>;
}

/** Identifies a traced call. */
type TraceSubject = Pick<Trace, "request_id" | "fn_name" | "fn_type" | "user_id" | "isolated">;

const NONE: readonly never[] = [];

/**
 * Records what one call does. Most calls do little and few traces are read, so lists are created
 * with their first entry, and the result is created when it is requested.
 */
export class CallTrace {
  readonly #subject: TraceSubject;
  readonly #platform: Pick<Platform, "now" | "monotonic">;
  readonly #startedAt: number;
  readonly #startedMonotonic: number;
  #ops: TraceOp[] | undefined;
  #opsTotal = 0;
  #lines: { readonly level: string; readonly text: string }[] | undefined;
  #linesTotal = 0;
  #streamBytes = 0;
  #streamChunks = 0;
  #schedules: { readonly fn_name: string; readonly at: number }[] | undefined;
  #id = 0;
  #durationMs: number | undefined;
  #outcome: TraceOutcome = SUCCEEDED;

  constructor(subject: TraceSubject, platform: Pick<Platform, "now" | "monotonic">) {
    this.#subject = subject;
    this.#platform = platform;
    this.#startedAt = platform.now();
    this.#startedMonotonic = platform.monotonic();
  }

  /** The duration of the call, so far or in total, in milliseconds. */
  get durationMs(): number {
    return this.#durationMs ?? this.#platform.monotonic() - this.#startedMonotonic;
  }

  /** Records a line of console output. */
  printed(level: string, text: string): void {
    this.#linesTotal += 1;
    this.#lines ??= [];
    if (this.#lines.length < MAX_TRACE_LINES)
      this.#lines.push({ level, text: text.slice(0, MAX_LINE_LENGTH) });
  }

  /** Runs a call of `ctx.db` and records it with its duration. */
  measure<T>(op: string, entity: unknown, id: unknown, work: () => Promise<T>): Promise<T> {
    const note = this.#begin(op, entity, id);
    return work().then(
      (value) => {
        note(true, value);
        return value;
      },
      (error: unknown) => {
        note(false);
        throw error;
      },
    );
  }

  /** Returns `ctx.storage` with methods that record each call with its duration. */
  measuredStorage(storage: FnStorage): FnStorage {
    const { write, info, read, sign, signUpload, complete, delete: remove } = storage;
    const of = <T>(op: string, id: unknown, work: () => Promise<T>): Promise<T> =>
      this.measure(`storage.${op}`, FILE, id, work);
    return {
      write: (content, options) => of("write", null, () => write(content, options)),
      info: (id) => of("info", id, () => info(id)),
      read: (id, range) => of("read", id, () => read(id, range)),
      sign: (id, options) => of("sign", id, () => sign(id, options)),
      signUpload: (upload) => of("signUpload", null, () => signUpload(upload)),
      complete: (id) => of("complete", id, () => complete(id)),
      delete: (id) => of("delete", id, () => remove(id)),
    };
  }

  /**
   * Records a request of `ctx.fetch`.
   *
   * @returns a callback for its end: null, or the reason of the failure
   */
  fetching(host: string, method: string): ReturnType<OnFetch> {
    const facts = { "server.address": host, "http.request.method": method };
    const span = startSpan("fetch", "client", facts);
    const note = this.#begin("fetch", host, undefined);
    return (failure) => {
      if (failure !== null) span?.fail(failure);
      span?.end();
      note(failure === null);
    };
  }

  /** Returns the stream with methods that count the output. */
  counted(stream: TextStream): TextStream {
    const count = (text: string): void => {
      this.#streamChunks += 1;
      if (typeof text === "string") this.#streamBytes += Buffer.byteLength(text);
    };
    return {
      write: (text) => {
        const written = stream.write(text);
        count(text);
        return written;
      },
      writeEvent: (event, text) => {
        const written = stream.writeEvent(event, text);
        count(text);
        return written;
      },
    };
  }

  /** Returns the queue with methods that record the added jobs. */
  noting(queue: JobQueue): JobQueue {
    const note = ({ name, dueAt }: ScheduledCall): void => {
      this.#schedules ??= [];
      if (this.#schedules.length < MAX_TRACE_OPS)
        this.#schedules.push({ fn_name: name, at: dueAt });
    };
    return {
      add: (tx, call) => {
        note(call);
        return queue.add(tx, call);
      },
      addMany: (tx, jobs) => {
        for (const { call } of jobs) note(call);
        return queue.addMany(tx, jobs);
      },
      newId: () => queue.newId(),
      now: () => queue.now(),
      cancel: (tx, id) => queue.cancel(tx, id),
      wake: (times) => queue.wake(times),
    };
  }

  /** Ends the trace. @param id the number of the call */
  end(id: number, outcome: TraceOutcome): void {
    this.#id = id;
    this.#durationMs = this.durationMs;
    this.#outcome = outcome;
  }

  /** Returns the trace for the response. */
  shown(): Trace {
    return {
      call_id: `call_${this.#id}`,
      ...this.#subject,
      started_at: this.#startedAt,
      duration_ms: this.durationMs,
      outcome: this.#outcome,
      ops: this.#ops ?? NONE,
      ops_total: this.#opsTotal,
      console: this.#lines ?? NONE,
      console_total: this.#linesTotal,
      stream_bytes: this.#streamBytes,
      stream_chunks: this.#streamChunks,
      schedules: this.#schedules ?? NONE,
    };
  }

  /** @returns a callback that records the end of the operation */
  #begin(op: string, entity: unknown, id: unknown): (ok: boolean, value?: unknown) => void {
    this.#opsTotal += 1;
    if (this.#opsTotal > MAX_TRACE_OPS) return () => undefined;
    const started = this.#platform.monotonic();
    return (ok, value) => {
      (this.#ops ??= []).push({
        op,
        entity: typeof entity === "string" ? entity : null,
        ...(typeof id === "string" && ID_FIRST.has(op) ? { id } : {}),
        duration_ms: this.#platform.monotonic() - started,
        ...rowCount(value),
        ok,
      });
    };
  }
}

/** The methods whose second argument is a row's id. */
const ID_FIRST = new Set(["get", "update", "delete", "link", "unlink"]);

function rowCount(value: unknown): { readonly row_count?: number } {
  if (Array.isArray(value)) return { row_count: value.length };
  if (isRecord(value) && Array.isArray(value["page"])) return { row_count: value["page"].length };
  return {};
}
