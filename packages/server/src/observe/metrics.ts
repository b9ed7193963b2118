import { Gauge, Registry, type Metric } from "prom-client";
import { DurationHistogram } from "./duration-histogram.ts";

const STATUS_CLASSES = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/** The server's figures, in Prometheus form. Labels are route patterns and function names, never what a caller sent. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requestSeconds = new DurationHistogram(
    "pylon_http_request_duration_seconds",
    "Time from the request to its answer, by route pattern, method and status class.",
    ["route", "method", "status"],
  );
  readonly #functionSeconds = new DurationHistogram("pylon_function_duration_seconds", "Time a function took, by name, type and outcome.", ["function", "type", "outcome"]);

  /** @param live read when scraped: uptime in seconds, open sockets and streams, the log's head */
  constructor(live: { uptimeSeconds: () => number; subscribers: () => number; logHead: () => Promise<number> }) {
    for (const histogram of [this.#requestSeconds, this.#functionSeconds]) this.#registry.registerMetric(histogram as unknown as Metric);
    const gauge = (name: string, help: string, read: () => number | Promise<number>): void => {
      const metric: Gauge = new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect: async () => metric.set(await read()),
      });
    };
    gauge("pylon_uptime_seconds", "Seconds since the server started.", live.uptimeSeconds);
    gauge("pylon_live_connections", "Open sockets and event streams.", live.subscribers);
    gauge("pylon_change_log_head", "Number of the newest committed change.", live.logHead);
    gauge("pylon_memory_resident_bytes", "Resident memory of the process.", () => process.memoryUsage.rss());
  }

  request(route: string, method: string, status: number, durationMs: number): void {
    this.#requestSeconds.observe([route, method, STATUS_CLASSES[Math.floor(status / 100)] ?? "other"], durationMs / 1000);
  }

  functionCall(name: string, type: string, outcome: string, durationMs: number): void {
    this.#functionSeconds.observe([name, type, outcome], durationMs / 1000);
  }

  /** Prometheus text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}
