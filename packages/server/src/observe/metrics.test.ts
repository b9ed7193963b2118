import { expect, test } from "bun:test";
import { array, assert, asyncProperty, float } from "fast-check";
import type { HrTime } from "@opentelemetry/api";
import { Registry } from "prom-client";
import { byLabel, Counter, ReadMetric } from "./counter.ts";
import { DurationHistogram } from "./duration-histogram.ts";
import { otlpMetrics } from "./otlp-metrics.ts";

const [START, AT]: [HrTime, HrTime] = [
  [1, 0],
  [2, 0],
];

test("a counter without labels exists immediately, a series from its first count", async () => {
  const [bare, labelled] = [new Counter("a", "A"), new Counter("b", "B", ["x", "y"])];
  expect((await bare.get()).values).toEqual([{ labels: {}, value: 0 }]);
  expect((await labelled.get()).values).toEqual([]);
  bare.add();
  labelled.add(["1", "2"]);
  labelled.add(["1", "2"], 4);
  labelled.add(["1", "3"]);
  expect((await bare.get()).values).toEqual([{ labels: {}, value: 1 }]);
  expect((await labelled.get()).values).toEqual([
    { labels: { x: "1", y: "2" }, value: 5 },
    { labels: { x: "1", y: "3" }, value: 1 },
  ]);
});

test("a value is read when it is scraped", async () => {
  let value = 1;
  const metric = new ReadMetric("gauge", "a", "A", () => value);
  value = 2;
  expect((await metric.get()).values).toEqual([{ labels: {}, value: 2 }]);
  const labelled = new ReadMetric("gauge", "a", "A", async () => byLabel("state", { open: 3 }));
  expect((await labelled.get()).values).toEqual([{ labels: { state: "open" }, value: 3 }]);
});

test("a histogram counts each duration for Prometheus and for OTLP, and both agree", async () => {
  await assert(
    asyncProperty(array(float({ min: 0, max: 100, noNaN: true })), async (times) => {
      const histogram = new DurationHistogram("x_seconds", "X", ["route"]);
      for (const time of times) histogram.observe(["/"], time);
      const scraped = await histogram.get();
      const [metric] = otlpMetrics([{ ...scraped, collect: () => undefined }], START, AT);
      if (times.length === 0) return expect(metric).toBeUndefined();
      for (const { metricName, labels, value } of scraped.values) {
        if (metricName !== "x_seconds_bucket") continue;
        const bound = labels["le"] === "+Inf" ? Infinity : Number(labels["le"]);
        expect(value).toBe(times.filter((time) => time <= bound).length);
      }
      expect(metric?.descriptor.unit).toBe("s");
      const [point] = metric?.dataPoints ?? [];
      expect(point?.attributes).toEqual({ route: "/" });
      const value = point?.value;
      if (typeof value !== "object" || !("buckets" in value) || !("counts" in value.buckets))
        throw new Error("It is not a histogram.");
      expect(value.sum).toBe(times.reduce((sum, time) => sum + time, 0));
      expect(value.count).toBe(times.length);
      const { boundaries, counts } = value.buckets;
      for (const [index, count] of counts.entries()) {
        const [over, upTo] = [boundaries[index - 1] ?? -1, boundaries[index] ?? Infinity];
        expect(count).toBe(times.filter((time) => time > over && time <= upTo).length);
      }
    }),
  );
});

test("a Prometheus registry accepts them", async () => {
  const registry = new Registry();
  const histogram = new DurationHistogram("x_seconds", "X", []);
  histogram.observe([], 0.003);
  for (const metric of [new Counter("a_total", "A"), histogram])
    registry.registerMetric(metric as never);
  const text = await registry.metrics();
  expect(text).toContain("# TYPE a_total counter\na_total 0");
  expect(text).toContain('x_seconds_bucket{le="0.0025"} 0\nx_seconds_bucket{le="0.005"} 1');
});
