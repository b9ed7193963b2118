import { LOG_LEVELS, type LogLevel } from "../log-level.ts";
import { SAMPLERS, type SamplerName } from "../samplers.ts";
import { amount, flag, headers, httpUrl, oneOf, pairs, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** What is logged, measured and traced, and where it is sent. */
export const TELEMETRY_VARIABLES = {
  PYLON_LOG_FORMAT: variable<"json" | "text">({
    wants: "json or text",
    doc: "The log on stderr: one JSON object a line, or text.",
    fallback: "json",
    devFallback: "text",
    parse: oneOf("json", "text"),
  }),
  PYLON_LOG_LEVEL: variable<LogLevel>({
    wants: "debug, info, warn or error",
    doc: "The least severe line to log. `debug` logs every request.",
    fallback: "info",
    parse: oneOf(...LOG_LEVELS),
  }),
  PYLON_ACCESS_LOG: variable({
    wants: "1 or 0",
    doc: "Logs every request: its route, status, time and the client's address.",
    fallback: false,
    parse: flag,
  }),
  PYLON_SLOW_QUERY_MS: variable({
    wants: "milliseconds from 0 to 3600000",
    doc:
      "Statements that take as long as this, in milliseconds, are logged, without what they were " +
      "asked with; 0 logs none. See [observability](deploy/observability.md).",
    fallback: 500,
    parse: whole(0, 3_600_000),
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable<string | undefined>({
    wants: "a URL such as http://localhost:4318",
    doc:
      "Where traces, metrics and logs are sent by OTLP, see " +
      "[observability](deploy/observability.md). Without it nothing is.",
    fallback: undefined,
    parse: httpUrl,
  }),
  OTEL_EXPORTER_OTLP_HEADERS: variable<Record<string, string>>({
    wants: "name=value,name=value with values percent-encoded",
    doc: "What is sent with it, such as a key.",
    fallback: {},
    secret: true,
    parse: headers,
  }),
  OTEL_EXPORTER_OTLP_PROTOCOL: variable<"http/protobuf" | "http/json">({
    wants: "http/protobuf or http/json; grpc is not spoken, and collectors take HTTP on port 4318",
    doc: "How it is encoded.",
    fallback: "http/protobuf",
    parse: oneOf("http/protobuf", "http/json"),
  }),
  OTEL_EXPORTER_OTLP_TIMEOUT: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "How long the receiver may take for a batch, in milliseconds.",
    fallback: 10_000,
    parse: whole(1, 600_000),
  }),
  OTEL_SERVICE_NAME: variable<string | undefined>({
    wants: "a name",
    doc: "What the server calls itself there; by default the app's name.",
    fallback: undefined,
    parse: text,
  }),
  OTEL_RESOURCE_ATTRIBUTES: variable<Record<string, string>>({
    wants: "name=value,name=value with values percent-encoded",
    doc: "More attributes of the resource, such as `deployment.environment.name=production`.",
    fallback: {},
    parse: pairs,
  }),
  OTEL_TRACES_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` sends no traces.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_METRICS_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` sends no metrics; `/metrics` is there either way.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_LOGS_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` sends no logs; stderr has them either way.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_TRACES_SAMPLER: variable<SamplerName>({
    wants: SAMPLERS.join(", "),
    doc:
      "Which traces are recorded. The default takes 50 in a second, and none that its caller " +
      "does not record.",
    fallback: "parentbased_ratelimited",
    parse: oneOf(...SAMPLERS),
  }),
  OTEL_TRACES_SAMPLER_ARG: variable<number | undefined>({
    wants: "a number from 0, for samplers by ratio up to 1",
    doc:
      "Traces in a second for `parentbased_ratelimited`, by default 50; the share of traces for " +
      "samplers by ratio, by default 1.",
    fallback: undefined,
    parse: amount,
  }),
  OTEL_BSP_SCHEDULE_DELAY: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "How long a finished span waits for others, in milliseconds.",
    fallback: 5_000,
    parse: whole(1, 600_000),
  }),
  OTEL_BLRP_SCHEDULE_DELAY: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "How long a line of the log waits for others, in milliseconds.",
    fallback: 1_000,
    parse: whole(1, 600_000),
  }),
  OTEL_METRIC_EXPORT_INTERVAL: variable({
    wants: "milliseconds from 100 to 3600000",
    doc: "How often metrics are sent, in milliseconds.",
    fallback: 60_000,
    parse: whole(100, 3_600_000),
  }),
  OTEL_SDK_DISABLED: variable({
    wants: "true or false",
    doc: "Sends nothing at all.",
    fallback: false,
    parse: flag,
  }),
} as const;
