import type { Span, SpanAttributes, SpanKind } from "./operation.ts";
import type { Platform } from "../platform.ts";
import type { Sampler } from "./sampler.ts";
import type { TraceParent } from "./trace-parent.ts";

/** A finished span, as the exporter receives it. Times are in milliseconds since 1970. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  /** Null: it is the first of its trace. */
  readonly parentId: string | null;
  /** Whether the parent belongs to another program. */
  readonly isParentRemote: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<SpanAttributes>;
  /** Null on success. */
  readonly failure: string | null;
}

/** Receives finished spans. */
export interface SpanSink {
  /** Whether no more spans are accepted now. */
  readonly isFull: boolean;
  add(span: FinishedSpan): void;
}

/**
 * Creates spans. The SDK's own take some microseconds each, a tenth of a whole request; these only
 * store numbers, and are converted for the exporter when they are sent.
 */
export class SpanRecorder {
  readonly #sampler: Sampler;
  readonly #recording: Recording;

  constructor(sampler: Sampler, sink: SpanSink, platform: SpanPlatform) {
    this.#sampler = sampler;
    this.#recording = {
      sink,
      ids: new SpanIds(platform),
      monotonic: platform.monotonic,
      epochMs: platform.now() - platform.monotonic(),
    };
  }

  /**
   * Whether no trace would be started now: the sampler's limit is reached, or the queue is so full
   * that it would be dropped.
   */
  get isClosed(): boolean {
    return this.#recording.sink.isFull || this.#sampler.isSpent();
  }

  /**
   * Starts a trace, or continues a caller's.
   *
   * @returns null when it `isClosed`, or the sampler does not select it
   */
  root(
    name: string,
    kind: SpanKind,
    parent: TraceParent | null,
    attributes: SpanAttributes = {},
  ): Span | null {
    if (this.isClosed) return null;
    const traceId = parent?.traceId ?? this.#recording.ids.next(TRACE_DIGITS);
    if (!this.#sampler.takes(traceId, parent)) return null;
    return new RecordedSpan(this.#recording, {
      name,
      kind,
      traceId,
      parentId: parent?.spanId ?? null,
      isParentRemote: parent !== null,
      attributes,
    });
  }
}

type SpanPlatform = Pick<Platform, "now" | "monotonic" | "random">;

/** The data that all spans of a recorder share. */
interface Recording {
  readonly sink: SpanSink;
  readonly ids: SpanIds;
  readonly monotonic: () => number;
  /** Milliseconds since 1970 at which the monotonic clock was 0. */
  readonly epochMs: number;
}

/** The properties of a span at its start. */
interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly parentId: string | null;
  readonly isParentRemote: boolean;
  readonly attributes: SpanAttributes;
  /** By the monotonic clock; default now. */
  readonly startedAt?: number | undefined;
}

class RecordedSpan implements Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly #recording: Recording;
  readonly #start: SpanStart;
  readonly #startedAt: number;
  #failure: string | null = null;

  constructor(recording: Recording, start: SpanStart) {
    this.traceId = start.traceId;
    this.spanId = recording.ids.next(SPAN_DIGITS);
    this.#recording = recording;
    this.#start = start;
    this.#startedAt = start.startedAt ?? recording.monotonic();
  }

  child(name: string, kind: SpanKind, attributes: SpanAttributes = {}, startedAt?: number): Span {
    return new RecordedSpan(this.#recording, {
      name,
      kind,
      traceId: this.traceId,
      parentId: this.spanId,
      isParentRemote: false,
      attributes,
      startedAt,
    });
  }

  set(name: string, value: string | number): void {
    this.#start.attributes[name] = value;
  }

  fail(reason: string): void {
    this.#failure ??= reason;
  }

  end(): void {
    const { sink, monotonic, epochMs } = this.#recording;
    const { name, kind, parentId, isParentRemote, attributes } = this.#start;
    sink.add({
      name,
      kind,
      traceId: this.traceId,
      spanId: this.spanId,
      parentId,
      isParentRemote,
      startMs: epochMs + this.#startedAt,
      endMs: epochMs + monotonic(),
      attributes,
      failure: this.#failure,
    });
  }
}

const TRACE_DIGITS = 32;
const SPAN_DIGITS = 16;
/** Generating many at once costs a tenth of generating each. */
const POOL_BYTES = 4096;

/** Generates random ids in hexadecimal digits. */
class SpanIds {
  readonly #random: Platform["random"];
  #digits = "";
  #used = 0;

  constructor({ random }: Pick<Platform, "random">) {
    this.#random = random;
  }

  next(digits: number): string {
    if (this.#used + digits > this.#digits.length) {
      const bytes = Buffer.alloc(POOL_BYTES);
      this.#random(bytes);
      this.#digits = bytes.toString("hex");
      this.#used = 0;
    }
    this.#used += digits;
    return this.#digits.slice(this.#used - digits, this.#used);
  }
}
