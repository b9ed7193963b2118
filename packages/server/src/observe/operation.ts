import { AsyncLocalStorage } from "node:async_hooks";

/**
 * A part of a trace: its name, its start and end, and its parent. Null stands for a part that is
 * not traced.
 */
export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /**
   * Starts a child span.
   *
   * @param startedAt its start by the monotonic clock, in milliseconds; default now
   */
  child(name: string, kind: SpanKind, attributes?: SpanAttributes, startedAt?: number): Span;
  /** Sets an attribute: never a token, a row's value, a query string or a statement's parameter. */
  set(name: string, value: string | number): void;
  /** Marks it as failed. @param reason a code or an error's name, never its message */
  fail(reason: string): void;
  /** Ends the span. Call it once. */
  end(): void;
}

/** The side of a call that a span is on. */
export type SpanKind = "server" | "client" | "internal";
/** The attributes of a span, by name. */
export type SpanAttributes = Record<string, string | number>;

/**
 * What the server is doing: one request, one function call, one delivery. All code that runs for it
 * can access it.
 */
export interface Operation {
  /** The request's id in the log and in its response; null without a request. */
  readonly requestId: string | null;
  /** A route's pattern, `function NAME` or `feed`: never what a caller sent. */
  readonly where: string;
  readonly span: Span | null;
  /** Receives what is printed with `console` meanwhile. */
  readonly console?: { printed(level: string, text: string): void } | undefined;
}

const operations = new AsyncLocalStorage<Operation | undefined>();

/** Returns the current operation, or undefined outside of one. */
export function currentOperation(): Operation | undefined {
  return operations.getStore();
}

/**
 * Runs the work as a part of `operation`; undefined: as a part of none, such as for a shared queue.
 */
export function runIn<T>(operation: Operation | undefined, work: () => T): T {
  return operations.run(operation, work);
}

/** The current span as a W3C `traceparent`, for work that continues it later, or null. */
export function currentTrace(): string | null {
  const span = operations.getStore()?.span ?? null;
  return span === null ? null : `00-${span.traceId}-${span.spanId}-01`;
}

/** Starts a child of the current span. @returns null if nothing is traced */
export function startSpan(name: string, kind: SpanKind, attributes?: SpanAttributes): Span | null {
  return operations.getStore()?.span?.child(name, kind, attributes) ?? null;
}

/** Runs the work in a child of the current span; spans that it starts are children of that. */
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

/** Describes an error without anything that a caller sent: by its code, or its name. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code.slice(0, 64) : error.name;
}
