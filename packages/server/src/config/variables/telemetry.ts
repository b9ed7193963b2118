import { LOG_LEVELS, type LogLevel } from "../log-level.ts";
import { SAMPLERS, type SamplerName } from "../samplers.ts";
import { amount, flag, headers, httpUrl, oneOf, pairs, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of logs, metrics and traces, and of where they are sent. */
export const TELEMETRY_VARIABLES = {
  PYLON_LOG_FORMAT: variable<"json" | "text">({
    wants: "json or text",
    doc:
      "The format of the log on stderr: one JSON object per line, or text. `pretty` is accepted " +
      "for `text`.",
    fallback: "json",
    devFallback: "text",
    parse: (text) => oneOf("json", "text")(text === "pretty" ? "text" : text),
  }),
  PYLON_LOG_LEVEL: variable<LogLevel>({
    wants: "debug, info, warn or error",
    doc: "The minimum severity of log lines. `debug` logs every request.",
    fallback: "info",
    parse: oneOf(...LOG_LEVELS),
  }),
  PYLON_ACCESS_LOG: variable({
    wants: "1 or 0",
    doc: "Logs every request: its route, status, duration and the client's address.",
    fallback: false,
    parse: flag,
  }),
  PYLON_SLOW_QUERY_MS: variable({
    wants: "milliseconds from 0 to 3600000",
    doc:
      "Logs statements that take at least this long, in milliseconds, without their parameters; " +
      "0 disables it. See [observability](deploy/observability.md).",
    fallback: 500,
    parse: whole(0, 3_600_000),
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable<string | undefined>({
    wants: "a URL such as http://localhost:4318",
    doc:
      "The OTLP endpoint for traces, metrics and logs, see " +
      "[observability](deploy/observability.md). If it is not set, nothing is exported.",
    fallback: undefined,
    parse: httpUrl,
  }),
  OTEL_EXPORTER_OTLP_HEADERS: variable<Record<string, string>>({
    wants: "name=value,name=value with values percent-encoded",
    doc: "Headers for export requests, such as an API key.",
    fallback: {},
    secret: true,
    parse: headers,
  }),
  OTEL_EXPORTER_OTLP_PROTOCOL: variable<"http/protobuf" | "http/json">({
    wants: "http/protobuf or http/json; grpc is not spoken, and collectors take HTTP on port 4318",
    doc: "The encoding of exports.",
    fallback: "http/protobuf",
    parse: oneOf("http/protobuf", "http/json"),
  }),
  OTEL_EXPORTER_OTLP_TIMEOUT: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "The timeout of an export request, in milliseconds.",
    fallback: 10_000,
    parse: whole(1, 600_000),
  }),
  OTEL_SERVICE_NAME: variable<string | undefined>({
    wants: "a name",
    doc: "The service name in exports; default the app's name.",
    fallback: undefined,
    parse: text,
  }),
  OTEL_RESOURCE_ATTRIBUTES: variable<Record<string, string>>({
    wants: "name=value,name=value with values percent-encoded",
    doc: "Additional resource attributes, such as `deployment.environment.name=production`.",
    fallback: {},
    parse: pairs,
  }),
  OTEL_TRACES_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` disables the export of traces.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_METRICS_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` disables the export of metrics; `/metrics` is available either way.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_LOGS_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` disables the export of logs; they are written to stderr either way.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_TRACES_SAMPLER: variable<SamplerName>({
    wants: SAMPLERS.join(", "),
    doc:
      "Which traces are recorded. The default records up to 50 per second, and none that the " +
      "caller does not record.",
    fallback: "parentbased_ratelimited",
    parse: oneOf(...SAMPLERS),
  }),
  OTEL_TRACES_SAMPLER_ARG: variable<number | undefined>({
    wants: "a number from 0, for samplers by ratio up to 1",
    doc:
      "Traces per second for `parentbased_ratelimited`, default 50; the share of traces for " +
      "samplers by ratio, default 1.",
    fallback: undefined,
    parse: amount,
  }),
  OTEL_BSP_SCHEDULE_DELAY: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "The maximum delay before finished spans are exported in a batch, in milliseconds.",
    fallback: 5_000,
    parse: whole(1, 600_000),
  }),
  OTEL_BLRP_SCHEDULE_DELAY: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "The maximum delay before log lines are exported in a batch, in milliseconds.",
    fallback: 1_000,
    parse: whole(1, 600_000),
  }),
  OTEL_METRIC_EXPORT_INTERVAL: variable({
    wants: "milliseconds from 100 to 3600000",
    doc: "The interval between exports of metrics, in milliseconds.",
    fallback: 60_000,
    parse: whole(100, 3_600_000),
  }),
  OTEL_SDK_DISABLED: variable({
    wants: "true or false",
    doc: "Disables all exports.",
    fallback: false,
    parse: flag,
  }),
} as const;
