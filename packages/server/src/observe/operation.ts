import { AsyncLocalStorage } from "node:async_hooks";

/**
 * A piece of a trace: what it is named, when it began and ended, what it belongs to. Null stands
 * for a piece that is not traced.
 */
export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /**
   * Begins a part of this piece.
   *
   * @param startedAt when it began, of the monotonic clock, in milliseconds; default now
   */
  child(name: string, kind: SpanKind, attributes?: SpanAttributes, startedAt?: number): Span;
  /**
   * A fact about it. Never a token, a row's value, a query string or a parameter of a statement.
   */
  set(name: string, value: string | number): void;
  /** It did not do what it was to do. @param reason a code or an error's name, never its message */
  fail(reason: string): void;
  /** It is over now. Once. */
  end(): void;
}

/** On which side of a call a span is. */
export type SpanKind = "server" | "client" | "internal";
/** Facts about a span, by name. */
export type SpanAttributes = Record<string, string | number>;

/**
 * What the server is doing: one request, one function call, one delivery. All that runs for it
 * finds it here.
 */
export interface Operation {
  /** Names the request in the log and in its answer; null for what no request asked for. */
  readonly requestId: string | null;
  /** A route's pattern, `function NAME` or `feed`: never what a caller sent. */
  readonly where: string;
  readonly span: Span | null;
  /** Told what is printed by `console` meanwhile. */
  readonly console?: { printed(level: string, text: string): void } | undefined;
}

const operations = new AsyncLocalStorage<Operation | undefined>();

/** The operation that runs now; undefined outside of one. */
export function currentOperation(): Operation | undefined {
  return operations.getStore();
}

/**
 * Runs the work as a part of `operation`; undefined: as a part of none, as a queue does
 * that many fill.
 */
export function runIn<T>(operation: Operation | undefined, work: () => T): T {
  return operations.run(operation, work);
}

/** What runs now as a W3C `traceparent`, for what goes on with it later; null when not traced. */
export function currentTrace(): string | null {
  const span = operations.getStore()?.span ?? null;
  return span === null ? null : `00-${span.traceId}-${span.spanId}-01`;
}

/** Begins a part of what runs now. @returns null when that is not traced */
export function startSpan(name: string, kind: SpanKind, attributes?: SpanAttributes): Span | null {
  return operations.getStore()?.span?.child(name, kind, attributes) ?? null;
}

/** Runs the work as a traced part of what runs now; what it does in turn is a part of that. */
export function inSpan<T>(
  name: string,
  kind: SpanKind,
  attributes: SpanAttributes,
  work: () => Promise<T>,
): Promise<T> {
  const operation = operations.getStore();
  const span = operation?.span?.child(name, kind, attributes);
  // Most operations are not traced.
  return operation === undefined || span === undefined
    ? work()
    : runInSpan({ ...operation, span }, span, work);
}

async function runInSpan<T>(operation: Operation, span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await operations.run(operation, work);
  } catch (error) {
    span.fail(reasonOf(error));
    throw error;
  } finally {
    span.end();
  }
}

/** An error in a word without anything of a caller in it: its code, or its name. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code.slice(0, 64) : error.name;
}
