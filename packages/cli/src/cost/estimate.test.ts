import { expect, test } from "bun:test";
import fc from "fast-check";
import { SHAPES } from "../deploy/targets.ts";
import { estimate, type Estimate } from "./estimate.ts";
import { PRICES } from "./prices.ts";

const INPUT = fc.record({
  shape: fc.constantFrom(...SHAPES),
  replicas: fc.integer({ min: 1, max: 50 }),
  storageGb: fc.integer({ min: 0, max: 10_000 }),
  egressGb: fc.integer({ min: 0, max: 10_000 }),
});
const REGION = fc.constantFrom(...Object.values(PRICES));

function sumOf({ lines }: Estimate, leftOut: string): number {
  return lines.filter(({ item }) => item !== leftOut).reduce((sum, { usd }) => sum + usd, 0);
}

test("the totals are the sums of their lines, and each line is a quantity at a price", () => {
  fc.assert(
    fc.property(INPUT, REGION, (input, prices) => {
      const result = estimate(input, prices);
      expect(sumOf(result, "Aurora at its maximum")).toBeCloseTo(result.least, 1);
      expect(sumOf(result, "Aurora at its minimum")).toBeCloseTo(result.most, 1);
      expect(result.least).toBeLessThanOrEqual(result.most);
      for (const { quantity, price, usd } of result.lines)
        expect(Math.abs(usd - quantity * price)).toBeLessThanOrEqual(0.0051);
    }),
  );
});

test("more replicas, rows or downloads never cost less, and Spot never more", () => {
  fc.assert(
    fc.property(INPUT, REGION, (input, prices) => {
      const { least, containers, containersOnSpot } = estimate(input, prices);
      expect(containersOnSpot).toBeLessThanOrEqual(containers);
      for (const more of [
        { replicas: input.replicas + 1 },
        { storageGb: input.storageGb + 1 },
        { egressGb: input.egressGb + 1 },
      ])
        expect(estimate({ ...input, ...more }, prices).least).toBeGreaterThanOrEqual(least);
    }),
  );
});
