import type { TelemetryConfig } from "../config/config.ts";
import type { Platform, Timer } from "../platform.ts";
import { settledWithin } from "../util/time-limit.ts";
import { ExportQueue } from "./export-queue.ts";
import type { Sample } from "./counter.ts";
import type { Log, LogRecord } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { OtlpExporters } from "./otlp-exporters.ts";
import { samplerOf } from "./sampler.ts";
import { SpanRecorder, type FinishedSpan } from "./span-recorder.ts";

const WARN_EVERY_MS = 60_000;
/**
 * The maximum time that a stop waits for a receiver, in milliseconds: an unreachable one must not
 * use up the drain time.
 */
const MAX_FLUSH_MS = 5_000;

/** What is sent, and for which server. */
export interface TelemetryOptions {
  readonly config: TelemetryConfig;
  /** The server's name and version, if the environment does not set them. */
  readonly service: { readonly name: string; readonly version: string };
  readonly log: Log;
  readonly platform: Platform;
}

/**
 * Sends traces, metrics and logs by OTLP. The receiver may be slow or unreachable: nothing here
 * waits for it, and this is logged once a minute.
 */
export class Telemetry {
  readonly recorder: SpanRecorder | null;
  readonly #exporters: OtlpExporters;
  readonly #spans: ExportQueue<FinishedSpan> | null;
  readonly #records: ExportQueue<LogRecord> | null;
  readonly #log: Log;
  readonly #metricsEveryMs: number | null;
  #metrics: Metrics | null = null;
  readonly #platform: Platform;
  #timer: Timer | null = null;
  #lastWarned = -Infinity;

  constructor({ config, log, platform }: TelemetryOptions, exporters: OtlpExporters) {
    this.#platform = platform;
    const onFailure = (error: unknown): void => this.#warn(error);
    const { traces, metrics, logs } = config;
    this.#log = log;
    this.#exporters = exporters;
    this.#spans =
      traces === null
        ? null
        : new ExportQueue({
            send: (spans) => exporters.traces(spans),
            delayMs: traces.delayMs,
            onFailure,
            platform,
          });
    this.#records =
      logs === null
        ? null
        : new ExportQueue({
            send: (records) => exporters.logs(records),
            delayMs: logs.delayMs,
            onFailure,
            platform,
          });
    this.recorder =
      traces === null || this.#spans === null
        ? null
        : new SpanRecorder(
            samplerOf(traces.sampler, traces.argument, platform.monotonic),
            this.#spans,
            platform,
          );
    this.#metricsEveryMs = metrics?.intervalMs ?? null;
    const records = this.#records;
    if (records !== null) log.exportTo((record) => records.add(record));
  }

  /** Starts to send the metrics. */
  start(metrics: Metrics): void {
    this.#metrics = metrics;
    if (this.#metricsEveryMs === null) return;
    this.#timer = this.#platform
      .every(this.#metricsEveryMs, () => void this.#sendMetrics())
      .unref();
  }

  /** The number of spans and records since the start, by `signal` and `outcome`. */
  counts(): Sample[] {
    const queues = Object.entries({ traces: this.#spans, logs: this.#records });
    return queues.flatMap(([signal, queue]) =>
      queue === null
        ? []
        : [["sent", queue.sent] as const, ["dropped", queue.dropped] as const].map(
            ([outcome, value]) => ({ labels: { signal, outcome }, value }),
          ),
    );
  }

  /** Sends waiting data. @param withinMs the maximum duration, in milliseconds */
  async stop(withinMs: number): Promise<void> {
    const timeoutMs = Math.min(withinMs, MAX_FLUSH_MS);
    this.#timer?.cancel();
    this.#log.exportTo(null);
    await Promise.all([
      this.#spans?.close(timeoutMs),
      this.#records?.close(timeoutMs),
      settledWithin(this.#platform, this.#sendMetrics(), timeoutMs),
    ]);
    void this.#exporters.close();
  }

  async #sendMetrics(): Promise<void> {
    if (this.#metricsEveryMs === null || this.#metrics === null) return;
    try {
      await this.#exporters.metrics(await this.#metrics.registry());
    } catch (error) {
      this.#warn(error);
    }
  }

  #warn(error: unknown): void {
    const now = this.#platform.monotonic();
    if (now - this.#lastWarned < WARN_EVERY_MS) return;
    this.#lastWarned = now;
    this.#log.warn("telemetry is not accepted: data beyond the buffer is dropped", {
      reason: error instanceof Error ? error.message.slice(0, 200) : String(error),
    });
  }
}

/** Loads the exporters: only a server that sends telemetry loads them. */
export async function openTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { createExporters } = await import("./otlp-exporters.ts");
  return new Telemetry(options, await createExporters(options));
}
