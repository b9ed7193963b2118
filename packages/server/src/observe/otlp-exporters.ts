import {
  SeverityNumber,
  SpanKind as OtelKind,
  SpanStatusCode,
  TraceFlags,
  type HrTime,
  type SpanContext,
} from "@opentelemetry/api";
import { ExportResultCode, type ExportResult } from "@opentelemetry/core";
import { defaultResource, resourceFromAttributes, type Resource } from "@opentelemetry/resources";
import type { LogRecordExporter, ReadableLogRecord } from "@opentelemetry/sdk-logs";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import type { Registry } from "prom-client";
import type { TelemetryConfig } from "../config/config.ts";
import type { LogLevel } from "../config/log-level.ts";
import type { SpanKind } from "./operation.ts";
import type { LogRecord } from "./log.ts";
import type { Platform } from "../platform.ts";
import { otlpMetrics } from "./otlp-metrics.ts";
import type { FinishedSpan } from "./span-recorder.ts";

/**
 * The official exporters for this server's data. Each call rejects when the receiver does not
 * accept the data.
 */
export interface OtlpExporters {
  traces(spans: readonly FinishedSpan[]): Promise<void>;
  logs(records: readonly LogRecord[]): Promise<void>;
  metrics(registry: Registry): Promise<void>;
  close(): Promise<void>;
}

const KINDS: Record<SpanKind, OtelKind> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  internal: OtelKind.INTERNAL,
};
const SEVERITIES: Record<LogLevel, SeverityNumber> = {
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
};

/** What is exported where, and for which server. */
export interface ExporterOptions {
  readonly config: TelemetryConfig;
  /** The server's name and version, if the environment does not set them. */
  readonly service: { readonly name: string; readonly version: string };
  readonly platform: Pick<Platform, "now" | "uuid">;
}

/** Loads the exporters for the configured protocol. */
export async function createExporters(options: ExporterOptions): Promise<OtlpExporters> {
  const { config, service, platform } = options;
  const [traces, metrics, logs] = await loadExporters(config);
  const resource = resourceOf(options);
  const scope = { name: "pylon", version: service.version };
  const startedAt = toHrTime(platform.now());
  return {
    traces: (spans) => {
      const readable = spans.map((span) => readableSpan(span, resource, scope));
      return done((callback) => traces.export(readable, callback));
    },
    logs: (records) => {
      const readable = records.map((record) => readableRecord(record, resource, scope));
      return done((callback) => logs.export(readable, callback));
    },
    metrics: async (registry) => {
      const scraped = await registry.getMetricsAsJSON();
      const collected = otlpMetrics(scraped, startedAt, toHrTime(platform.now()));
      await done((callback) =>
        metrics.export({ resource, scopeMetrics: [{ scope, metrics: collected }] }, callback),
      );
    },
    close: async () => {
      await Promise.allSettled([traces.shutdown(), metrics.shutdown(), logs.shutdown()]);
    },
  };
}

/** The official exporters of traces, metrics and logs. */
async function loadExporters(
  config: TelemetryConfig,
): Promise<[SpanExporter, PushMetricExporter, LogRecordExporter]> {
  const isJson = config.protocol === "http/json";
  const [{ OTLPTraceExporter }, { OTLPMetricExporter }, { OTLPLogExporter }] = await Promise.all([
    isJson
      ? import("@opentelemetry/exporter-trace-otlp-http")
      : import("@opentelemetry/exporter-trace-otlp-proto"),
    isJson
      ? import("@opentelemetry/exporter-metrics-otlp-http")
      : import("@opentelemetry/exporter-metrics-otlp-proto"),
    isJson
      ? import("@opentelemetry/exporter-logs-otlp-http")
      : import("@opentelemetry/exporter-logs-otlp-proto"),
  ]);
  const optionsOf = (
    signal: string,
  ): { url: string; headers: Record<string, string>; timeoutMillis: number } => ({
    url: `${config.endpoint.replace(/\/$/, "")}/v1/${signal}`,
    headers: { ...config.headers },
    timeoutMillis: config.timeoutMs,
  });
  return [
    new OTLPTraceExporter(optionsOf("traces")),
    new OTLPMetricExporter(optionsOf("metrics")),
    new OTLPLogExporter(optionsOf("logs")),
  ];
}

function resourceOf({ config, service, platform }: ExporterOptions): Resource {
  const { resource, serviceName } = config;
  const name = serviceName ?? resource["service.name"] ?? service.name;
  return defaultResource().merge(
    resourceFromAttributes({
      "service.version": service.version,
      // Distinguishes replicas: without it their metrics would count as those of one.
      "service.instance.id": platform.uuid(),
      ...resource,
      "service.name": name,
    }),
  );
}

function done(start: (callback: (result: ExportResult) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(({ code, error }) => {
      if (code === ExportResultCode.SUCCESS) resolve();
      else reject(error ?? new Error("The receiver did not accept the export."));
    });
  });
}

function readableSpan(
  span: FinishedSpan,
  resource: Resource,
  instrumentationScope: ReadableSpan["instrumentationScope"],
): ReadableSpan {
  const {
    name,
    kind,
    traceId,
    spanId,
    parentId,
    isParentRemote,
    startMs,
    endMs,
    attributes,
    failure,
  } = span;
  return {
    name,
    kind: KINDS[kind],
    spanContext: () => contextOf(traceId, spanId, false),
    ...(parentId === null
      ? {}
      : { parentSpanContext: contextOf(traceId, parentId, isParentRemote) }),
    startTime: toHrTime(startMs),
    endTime: toHrTime(endMs),
    duration: toHrTime(endMs - startMs),
    status:
      failure === null
        ? { code: SpanStatusCode.UNSET }
        : { code: SpanStatusCode.ERROR, message: failure },
    attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function readableRecord(
  { at, level, message, fields, span }: LogRecord,
  resource: Resource,
  instrumentationScope: ReadableLogRecord["instrumentationScope"],
): ReadableLogRecord {
  const time = toHrTime(at);
  return {
    hrTime: time,
    hrTimeObserved: time,
    severityText: level.toUpperCase(),
    severityNumber: SEVERITIES[level],
    body: message,
    attributes: Object.fromEntries(
      Object.entries(fields).flatMap(([name, value]) =>
        value === undefined || value === null ? [] : [[name, value]],
      ),
    ),
    ...(span === null ? {} : { spanContext: contextOf(span.traceId, span.spanId, false) }),
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
  };
}

function contextOf(traceId: string, spanId: string, isRemote: boolean): SpanContext {
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, ...(isRemote ? { isRemote } : {}) };
}

/** @param ms milliseconds, with a fraction */
function toHrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
