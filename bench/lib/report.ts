/**
 * Prints a measurement with its baseline, as one JSON line. `ratio` is value / baseline, the median
 * of the rounds.
 */
export function report(
  bench: string,
  unit: string,
  rounds: readonly { readonly value: number; readonly baseline: number }[],
): void {
  const sorted = rounds.toSorted((a, b) => a.value / a.baseline - b.value / b.baseline);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("There was no round.");
  const { value, baseline } = middle;
  console.log(
    JSON.stringify({
      bench,
      value: round(value),
      unit,
      baseline: round(baseline),
      ratio: round(value / baseline),
    }),
  );
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
