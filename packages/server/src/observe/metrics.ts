import type { Gauge as GaugeMetric, Metric, Registry } from "prom-client";
import { DurationHistogram } from "./duration-histogram.ts";

/** A label must not be what a caller makes up. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const STATUS_CLASSES = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/** Read when the metrics are scraped. */
export interface LiveFigures {
  readonly uptimeSeconds: () => number;
  /** Open sockets and event streams. */
  readonly subscribers: () => number;
  readonly logHead: () => Promise<number>;
}

/** The server's figures, in Prometheus form. Labels are route patterns and function names, never what a caller sent. */
export class Metrics {
  readonly #live: LiveFigures;
  #registry: Promise<Registry> | undefined;
  readonly #requestSeconds = new DurationHistogram(
    "pylon_http_request_duration_seconds",
    "Time from the request to its answer, by route pattern, method and status class.",
    ["route", "method", "status"],
  );
  readonly #functionSeconds = new DurationHistogram("pylon_function_duration_seconds", "Time a function took, by name, type and outcome.", ["function", "type", "outcome"]);

  constructor(live: LiveFigures) {
    this.#live = live;
  }

  request(route: string, method: string, status: number, durationMs: number): void {
    this.#requestSeconds.observe([route, METHODS.has(method) ? method : "OTHER", STATUS_CLASSES[Math.floor(status / 100)] ?? "other"], durationMs / 1000);
  }

  functionCall(name: string, type: string, outcome: string, durationMs: number): void {
    this.#functionSeconds.observe([name, type, outcome], durationMs / 1000);
  }

  /** Prometheus text format. */
  async render(): Promise<{ readonly text: string; readonly contentType: string }> {
    const registry = await (this.#registry ??= this.#register());
    return { text: await registry.metrics(), contentType: registry.contentType };
  }

  /** The library is loaded at the first scrape: it would cost a third of the server's start. */
  async #register(): Promise<Registry> {
    const { Gauge, Registry } = await import("prom-client");
    const registry = new Registry();
    for (const histogram of [this.#requestSeconds, this.#functionSeconds]) registry.registerMetric(histogram as unknown as Metric);
    const gauge = (name: string, help: string, read: () => number | Promise<number>): void => {
      const metric: GaugeMetric = new Gauge({ name, help, registers: [registry], collect: async () => metric.set(await read()) });
    };
    gauge("pylon_uptime_seconds", "Seconds since the server started.", this.#live.uptimeSeconds);
    gauge("pylon_live_connections", "Open sockets and event streams.", this.#live.subscribers);
    gauge("pylon_change_log_head", "Number of the newest committed change.", this.#live.logHead);
    gauge("pylon_memory_resident_bytes", "Resident memory of the process.", () => process.memoryUsage.rss());
    return registry;
  }
}
