import type { Span, SpanAttributes, SpanKind } from "./operation.ts";
import type { Sampler } from "./sampler.ts";
import type { TraceParent } from "./trace-parent.ts";

/** A span that is over, as the exporter takes it. Times are in milliseconds since 1970. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  /** Null: it is the first of its trace. */
  readonly parentId: string | null;
  /** The parent is a part of another program. */
  readonly isParentRemote: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<SpanAttributes>;
  /** Null: it went well. */
  readonly failure: string | null;
}

export interface SpanSink {
  /** Nothing more is taken now. */
  readonly isFull: boolean;
  add(span: FinishedSpan): void;
}

/**
 * Makes spans. The SDK's own take some microseconds each, a tenth of what a whole request takes;
 * these only note numbers, and become what the exporter wants when they are sent.
 */
export class SpanRecorder {
  readonly #sampler: Sampler;
  readonly #sink: SpanSink;

  constructor(sampler: Sampler, sink: SpanSink) {
    this.#sampler = sampler;
    this.#sink = sink;
  }

  /**
   * No trace would be begun now: the sampler has had enough, or so much waits to be sent that it
   * would be dropped.
   */
  get isClosed(): boolean {
    return this.#sink.isFull || this.#sampler.isSpent();
  }

  /**
   * Begins a trace, or goes on with a caller's.
   *
   * @returns null when it `isClosed`, or the sampler passes it over
   */
  root(
    name: string,
    kind: SpanKind,
    parent: TraceParent | null,
    attributes: SpanAttributes = {},
  ): Span | null {
    if (this.isClosed) return null;
    const traceId = parent?.traceId ?? newId(4);
    if (!this.#sampler.takes(traceId, parent)) return null;
    return new RecordedSpan(
      this.#sink,
      name,
      kind,
      traceId,
      parent?.spanId ?? null,
      parent !== null,
      attributes,
    );
  }
}

class RecordedSpan implements Span {
  readonly traceId: string;
  readonly spanId = newId(2);
  readonly #sink: SpanSink;
  readonly #name: string;
  readonly #kind: SpanKind;
  readonly #parentId: string | null;
  readonly #isParentRemote: boolean;
  readonly #attributes: SpanAttributes;
  readonly #startMs: number;
  #failure: string | null = null;

  constructor(
    sink: SpanSink,
    name: string,
    kind: SpanKind,
    traceId: string,
    parentId: string | null,
    isParentRemote: boolean,
    attributes: SpanAttributes,
    startedAt = performance.now(),
  ) {
    this.#startMs = performance.timeOrigin + startedAt;
    this.#sink = sink;
    this.#name = name;
    this.#kind = kind;
    this.traceId = traceId;
    this.#parentId = parentId;
    this.#isParentRemote = isParentRemote;
    this.#attributes = attributes;
  }

  child(name: string, kind: SpanKind, attributes: SpanAttributes = {}, startedAt?: number): Span {
    return new RecordedSpan(
      this.#sink,
      name,
      kind,
      this.traceId,
      this.spanId,
      false,
      attributes,
      startedAt,
    );
  }

  set(name: string, value: string | number): void {
    this.#attributes[name] = value;
  }

  fail(reason: string): void {
    this.#failure ??= reason;
  }

  end(): void {
    this.#sink.add({
      name: this.#name,
      kind: this.#kind,
      traceId: this.traceId,
      spanId: this.spanId,
      parentId: this.#parentId,
      isParentRemote: this.#isParentRemote,
      startMs: this.#startMs,
      endMs: performance.timeOrigin + performance.now(),
      attributes: this.#attributes,
      failure: this.#failure,
    });
  }
}

/**
 * Random hexadecimal digits, eight a word. They only have to differ: nothing is protected by them.
 */
function newId(words: number): string {
  let id = "";
  for (let word = 0; word < words; word += 1)
    id += ((Math.random() * 0x1_0000_0000) >>> 0).toString(16).padStart(8, "0");
  return id;
}
