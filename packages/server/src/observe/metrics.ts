import { Counter, Gauge, Histogram, Registry } from "prom-client";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The server's figures, in Prometheus form. Labels are route patterns and function names, never what a caller sent. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: "pylon_http_requests_total",
    help: "Answered HTTP requests by route pattern, method and status class.",
    labelNames: ["route", "method", "status"],
    registers: [this.#registry],
  });
  readonly #requestSeconds = new Histogram({
    name: "pylon_http_request_duration_seconds",
    help: "Time from the request to its answer, by route pattern.",
    labelNames: ["route"],
    buckets: SECONDS,
    registers: [this.#registry],
  });
  readonly #functions = new Counter({
    name: "pylon_function_calls_total",
    help: "Finished function calls by name, type and outcome.",
    labelNames: ["function", "type", "outcome"],
    registers: [this.#registry],
  });
  readonly #functionSeconds = new Histogram({
    name: "pylon_function_duration_seconds",
    help: "Time a function took, by name.",
    labelNames: ["function"],
    buckets: SECONDS,
    registers: [this.#registry],
  });

  /** @param live read when scraped: uptime in seconds, open sockets and streams, the log's head */
  constructor(live: { uptimeSeconds: () => number; subscribers: () => number; logHead: () => Promise<number> }) {
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
    this.#requests.inc({ route, method, status: `${Math.floor(status / 100)}xx` });
    this.#requestSeconds.observe({ route }, durationMs / 1000);
  }

  functionCall(name: string, type: string, outcome: string, durationMs: number): void {
    this.#functions.inc({ function: name, type, outcome });
    this.#functionSeconds.observe({ function: name }, durationMs / 1000);
  }

  /** Prometheus text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}
