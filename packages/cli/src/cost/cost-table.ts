import type { CostInput, Estimate } from "./estimate.ts";
import { PRICES_DATE } from "./prices.ts";

/** The estimate as a table for people, which is also valid Markdown. */
export function costTable(
  { shape, replicas, storageGb, egressGb }: CostInput,
  region: string,
  { lines, least, most, containers, containersOnSpot }: Estimate,
): string {
  const rows = lines.map(({ item, quantity, unit, price, usd }) => [
    item,
    `${count(quantity)} ${unit}`,
    String(price),
    usd.toFixed(2),
  ]);
  const table = [
    ["item", "quantity", "USD per unit", "USD per month"],
    ...rows,
    ["NAT gateway", "none", "", "0.00"],
  ];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  // Numbers are right-aligned.
  const print = (row: readonly string[]): string =>
    line(
      row.map((cell, column) => {
        const width = widths[column] ?? 0;
        return column < 2 ? cell.padEnd(width) : cell.padStart(width);
      }),
    );
  const [head = [], ...body] = table;
  return [
    `Shape ${shape}, ${replicas} ${replicas === 1 ? "replica" : "replicas"}, ${storageGb} ` +
      `GB of rows and ${storageGb} GB of files, ${egressGb} GB to clients, ${region}, list ` +
      `prices of ${PRICES_DATE}.`,
    "",
    print(head),
    line(
      widths.map((width, column) => (column < 2 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)),
    ),
    ...body.map(print),
    "",
    least === most
      ? `Production: ${least.toFixed(2)} USD per month.`
      : `Production: ${least.toFixed(2)} USD per month with Aurora at its minimum, ` +
        `${most.toFixed(2)} with Aurora at its maximum all month.`,
    `On Spot, as in other stages: at least ${(least - containers + containersOnSpot).toFixed(2)} ` +
      "USD per month.",
  ].join("\n");
}

function count(quantity: number): string {
  return String(Math.round(quantity * 100) / 100);
}
