import type { MetricObjectWithValues, MetricValueWithName } from "prom-client";
import { LabelTree } from "./label-tree.ts";

type Scraped = Omit<MetricObjectWithValues<MetricValueWithName<string>>, "collect">;

/** A value with its labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Counts by labels; the library's overhead per count is higher than the rest of a request's
 * overhead.
 */
export class Counter {
  readonly name: string;
  readonly #help: string;
  readonly #counts: LabelTree<{ readonly labels: Readonly<Record<string, string>>; value: number }>;

  /** A counter without labels starts at 0; one with labels has a series from its first count. */
  constructor(name: string, help: string, labelNames: readonly string[] = []) {
    this.name = name;
    this.#help = help;
    this.#counts = new LabelTree((values) => ({
      labels: Object.fromEntries(labelNames.map((label, index) => [label, values[index] ?? ""])),
      value: 0,
    }));
    if (labelNames.length === 0) this.#counts.of([]);
  }

  /** @param labelValues in the order of the label names */
  add(labelValues: readonly string[] = [], amount = 1): void {
    this.#counts.of(labelValues).value += amount;
  }

  async get(): Promise<Scraped> {
    return {
      name: this.name,
      help: this.#help,
      type: "counter" as never,
      aggregator: "sum",
      values: [...this.#counts.all],
    };
  }
}

/** A value that another object keeps, read when the metrics are scraped. */
export class ReadMetric {
  readonly name: string;
  readonly #help: string;
  readonly #type: "counter" | "gauge";
  readonly #read: () => number | readonly Sample[] | Promise<number | readonly Sample[]>;

  constructor(
    type: "counter" | "gauge",
    name: string,
    help: string,
    read: () => number | readonly Sample[] | Promise<number | readonly Sample[]>,
  ) {
    this.name = name;
    this.#help = help;
    this.#type = type;
    this.#read = read;
  }

  async get(): Promise<Scraped> {
    const read = await this.#read();
    const values = typeof read === "number" ? [{ labels: {}, value: read }] : [...read];
    return {
      name: this.name,
      help: this.#help,
      type: this.#type as never,
      aggregator: "sum",
      values,
    };
  }
}

/** Returns samples of a record of values: `{read: 3, write: 1}` under one label. */
export function byLabel(label: string, figures: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(figures).map(([name, value]) => ({ labels: { [label]: name }, value }));
}
