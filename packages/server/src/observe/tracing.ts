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
