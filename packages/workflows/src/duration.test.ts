import { expect, test } from "bun:test";
import { parseDuration } from "./duration.ts";

test("a duration is a number with a unit, seconds without one", () => {
  expect(["30s", "5m", "24h", "1d", "90", "0.5s", "0"].map(parseDuration)).toEqual([
    30_000, 300_000, 86_400_000, 86_400_000, 90_000, 500, 0,
  ]);
});

test("any other text is rejected, by name", () => {
  for (const text of ["", "s", "-1s", "1 h", "1w", "1e3", "NaN", "1h30m"])
    expect(() => parseDuration(text)).toThrow(`"${text}" is not a duration`);
});
