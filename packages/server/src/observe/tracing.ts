import { runIn, type Operation, type Span } from "./operation.ts";
import type { SpanRecorder } from "./span-recorder.ts";
import { parseTraceParent } from "./trace-parent.ts";

/** Starts traces. Without a recorder nothing is traced, at no cost. */
export class Tracing {
  readonly #recorder: SpanRecorder | null;

  constructor(recorder: SpanRecorder | null) {
    this.#recorder = recorder;
  }

  /**
   * Starts the span of a request; it continues the trace in its `traceparent`.
   *
   * @param route a pattern, never a path
   */
  request(request: Request, route: string): Span | null {
    if (this.#recorder === null || this.#recorder.isClosed) return null;
    const { method } = request;
    const parent = parseTraceParent(request.headers.get("traceparent"));
    return this.#recorder.root(`${method} ${route}`, "server", parent, {
      "http.request.method": method,
      "http.route": route,
    });
  }

  /**
   * Traces an attempt at a job; it continues the trace of the write that created the job.
   *
   * @param trace a `traceparent`
   * @param attempt its number, from 1
   */
  async job<T>(
    { trace, queue, attempt }: { trace: string | null; queue: string; attempt: number },
    work: () => Promise<T>,
  ): Promise<T> {
    const span = this.#recorder?.root("job", "internal", parseTraceParent(trace), {
      "pylon.queue": queue,
      "pylon.attempt": attempt,
    });
    if (span === undefined || span === null) return work();
    try {
      return await runIn({ requestId: null, where: "job", span }, work);
    } finally {
      span.end();
    }
  }

  /** Traces a push over a socket. @param apply returns the status of the response */
  async push(apply: () => Promise<number>): Promise<number> {
    const span = this.#recorder?.root("live push", "server", null) ?? null;
    const operation: Operation = { requestId: null, where: "live push", span };
    try {
      const status = await runIn(operation, apply);
      span?.set("http.response.status_code", status);
      return status;
    } finally {
      span?.end();
    }
  }

  /** Traces the delivery of changes to the live connections. */
  async delivery(
    changes: number,
    connections: number,
    deliver: () => Promise<void>,
  ): Promise<void> {
    const span =
      this.#recorder?.root("feed delivery", "internal", null, {
        "pylon.changes": changes,
        "pylon.connections": connections,
      }) ?? null;
    const operation: Operation = { requestId: null, where: "feed", span };
    try {
      await runIn(operation, deliver);
    } finally {
      span?.end();
    }
  }
}
