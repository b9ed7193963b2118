import { runIn, type Operation, type Span } from "./operation.ts";
import type { SpanRecorder } from "./span-recorder.ts";
import { parseTraceParent } from "./trace-parent.ts";

/** Where traces begin. Without a recorder nothing is traced, and nothing of it costs anything. */
export class Tracing {
  readonly #recorder: SpanRecorder | null;

  constructor(recorder: SpanRecorder | null) {
    this.#recorder = recorder;
  }

  /**
   * A request; it goes on with the trace that its `traceparent` names.
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
   * An attempt at a job; it goes on with the trace of the write that made the job.
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

  /** Hands changes to the live connections. */
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
