import { ValueType, type Attributes, type HrTime } from "@opentelemetry/api";
import { AggregationTemporality, DataPointType, type MetricData } from "@opentelemetry/sdk-metrics";
import type { MetricObjectWithValues, MetricValue } from "prom-client";

type Scraped = MetricObjectWithValues<MetricValue<string>>;
type HistogramData = Extract<MetricData, { readonly dataPointType: DataPointType.HISTOGRAM }>;
type HistogramPoint = HistogramData["dataPoints"][number];

/** Converts a Prometheus scrape to OTLP data: the same names, counted since `startedAt`. */
export function otlpMetrics(
  scraped: readonly Scraped[],
  startedAt: HrTime,
  at: HrTime,
): MetricData[] {
  return scraped.flatMap((metric): MetricData[] => {
    if (metric.values.length === 0) return [];
    const base = {
      descriptor: {
        name: metric.name,
        description: metric.help,
        unit: unitOf(metric.name),
        valueType: ValueType.DOUBLE,
      },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
    };
    const type = String(metric.type);
    if (type === "histogram")
      return [
        {
          ...base,
          dataPointType: DataPointType.HISTOGRAM,
          dataPoints: histogramPoints(metric.values, startedAt, at),
        },
      ];
    const dataPoints = metric.values.map(({ labels, value }) => ({
      startTime: startedAt,
      endTime: at,
      attributes: { ...labels },
      value,
    }));
    if (type === "counter")
      return [{ ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }];
    return [{ ...base, dataPointType: DataPointType.GAUGE, dataPoints }];
  });
}

/** Prometheus counts the values below a bound, OTLP those between two. */
function histogramPoints(
  values: readonly (MetricValue<string> & { readonly metricName?: string })[],
  startTime: HrTime,
  endTime: HrTime,
): HistogramPoint[] {
  const series = new Map<
    string,
    {
      readonly attributes: Attributes;
      readonly below: number[];
      readonly boundaries: number[];
      sum: number;
      count: number;
    }
  >();
  for (const { metricName = "", labels, value } of values) {
    const { le, ...attributes } = labels;
    const key = JSON.stringify(attributes);
    const known = series.get(key) ?? { attributes, below: [], boundaries: [], sum: 0, count: 0 };
    series.set(key, known);
    if (metricName.endsWith("_sum")) known.sum = value;
    else if (metricName.endsWith("_count")) known.count = value;
    else {
      known.below.push(value);
      if (le !== "+Inf") known.boundaries.push(Number(le));
    }
  }
  return [...series.values()].map(({ attributes, below, boundaries, sum, count }) => {
    const counts = below.map((total, index) => total - (below[index - 1] ?? 0));
    return {
      startTime,
      endTime,
      attributes,
      value: { buckets: { boundaries, counts }, sum, count },
    };
  });
}

function unitOf(name: string): string {
  if (name.endsWith("_seconds")) return "s";
  return name.endsWith("_bytes") ? "By" : "";
}
