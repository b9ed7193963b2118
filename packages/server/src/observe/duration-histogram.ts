import type { MetricObjectWithValues, MetricValueWithName } from "prom-client";
import { LabelTree } from "./label-tree.ts";

/** Upper bounds in seconds. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** The number of values in each bucket, and above the last bound. */
  readonly counts: Float64Array;
  sum: number;
}

/**
 * A Prometheus histogram of durations. The library's own costs some microseconds per observation,
 * more than the rest of a request's overhead; this one only counts, and leaves names and text to
 * the library when it is scraped.
 */
export class DurationHistogram {
  readonly name: string;
  readonly #help: string;
  readonly #series: LabelTree<Series>;

  constructor(name: string, help: string, labelNames: readonly string[]) {
    this.name = name;
    this.#help = help;
    this.#series = new LabelTree((values) => ({
      labels: Object.fromEntries(labelNames.map((label, index) => [label, values[index] ?? ""])),
      counts: new Float64Array(BOUNDS.length + 1),
      sum: 0,
    }));
  }

  /** @param labelValues in the order of the label names */
  observe(labelValues: readonly string[], seconds: number): void {
    const series = this.#series.of(labelValues);
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? Infinity)) bucket += 1;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += seconds;
  }

  /** The number of observed values of each series that matches, in total. */
  count(matches: (labels: Readonly<Record<string, string>>) => boolean): number {
    return this.#series.all
      .filter(({ labels }) => matches(labels))
      .reduce((total, { counts }) => total + counts.reduce((sum, one) => sum + one, 0), 0);
  }

  /** The values that a label has. */
  valuesOf(label: string): readonly string[] {
    return [...new Set(this.#series.all.map(({ labels }) => labels[label] ?? ""))];
  }

  /** The data that the library's registry expects of a metric. */
  async get(): Promise<Omit<MetricObjectWithValues<MetricValueWithName<string>>, "collect">> {
    const values = this.#series.all.flatMap((series) => this.#valuesOf(series));
    return {
      name: this.name,
      help: this.#help,
      type: "histogram" as never,
      aggregator: "sum",
      values,
    };
  }

  #valuesOf({ labels, counts, sum }: Series): MetricValueWithName<string>[] {
    let total = 0;
    const buckets = [...BOUNDS, "+Inf"].map((le, index) => {
      total += counts[index] ?? 0;
      return { metricName: `${this.name}_bucket`, labels: { ...labels, le }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: total },
    ];
  }
}
