import type { TelemetryConfig } from "./config.ts";
import type { VariableReader } from "./variable-reader.ts";

/** Returns what is sent by OTLP, or null if no endpoint is set or everything is disabled. */
export function telemetryConfig(reader: VariableReader): TelemetryConfig | null {
  const endpoint = reader.get("OTEL_EXPORTER_OTLP_ENDPOINT");
  const signals = signalsOf(reader);
  const config = {
    headers: reader.get("OTEL_EXPORTER_OTLP_HEADERS"),
    protocol: reader.get("OTEL_EXPORTER_OTLP_PROTOCOL"),
    timeoutMs: reader.get("OTEL_EXPORTER_OTLP_TIMEOUT"),
    serviceName: reader.get("OTEL_SERVICE_NAME"),
    resource: reader.get("OTEL_RESOURCE_ATTRIBUTES"),
    ...signals,
  };
  const isDisabled = reader.get("OTEL_SDK_DISABLED");
  const { traces, metrics, logs } = signals;
  const isWanted = !isDisabled && (traces ?? metrics ?? logs) !== null;
  return endpoint === undefined || !isWanted ? null : { ...config, endpoint };
}

function signalsOf(reader: VariableReader): Pick<TelemetryConfig, "traces" | "metrics" | "logs"> {
  const traces = {
    sampler: reader.get("OTEL_TRACES_SAMPLER"),
    argument: reader.get("OTEL_TRACES_SAMPLER_ARG"),
    delayMs: reader.get("OTEL_BSP_SCHEDULE_DELAY"),
  };
  const sendsTraces = reader.get("OTEL_TRACES_EXPORTER") === "otlp";
  if (sendsTraces && traces.sampler.endsWith("traceidratio") && (traces.argument ?? 0) > 1)
    reader.problems.add(
      "OTEL_TRACES_SAMPLER_ARG is above 1: a ratio sampler requires a number from 0 to 1.",
    );
  const intervalMs = reader.get("OTEL_METRIC_EXPORT_INTERVAL");
  const delayMs = reader.get("OTEL_BLRP_SCHEDULE_DELAY");
  return {
    traces: sendsTraces ? traces : null,
    metrics: reader.get("OTEL_METRICS_EXPORTER") === "otlp" ? { intervalMs } : null,
    logs: reader.get("OTEL_LOGS_EXPORTER") === "otlp" ? { delayMs } : null,
  };
}
