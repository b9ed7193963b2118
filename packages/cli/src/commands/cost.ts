import { defineCommand } from "../command.ts";
import { costTable } from "../cost/cost-table.ts";
import { estimate } from "../cost/estimate.ts";
import { PRICES, PRICES_DATE } from "../cost/prices.ts";
import { SHAPES } from "../deploy/targets.ts";
import { CommandError, EXIT } from "../output.ts";

const MAX_INPUT = 1_000_000;

/** `pylon cost`: estimates the cost of a shape on AWS. */
export const cost = defineCommand({
  name: "cost",
  args: [],
  summary: "Estimate the monthly cost of a deployment on AWS, itemized.",
  options: {
    shape: {
      type: "string",
      value: SHAPES.join("|"),
      summary: "The shape, as for `pylon deploy --target sst`; default `default`.",
    },
    replicas: {
      type: "string",
      value: "N",
      summary: "The average number of containers; default 1.",
    },
    "storage-gb": {
      type: "string",
      value: "N",
      summary: "GB of rows, and the same amount of files; default 10.",
    },
    "egress-gb": {
      type: "string",
      value: "N",
      summary: "GB sent to clients per month; default 10.",
    },
    region: {
      type: "string",
      value: "R",
      summary: `The region of the prices: ${Object.keys(PRICES).join(", ")}.`,
    },
  },
  run({ options, output }) {
    const { region = "us-east-1" } = options;
    const shape = SHAPES.find((known) => known === (options.shape ?? "default"));
    if (shape === undefined)
      throw new CommandError(
        "COST_INVALID_SHAPE",
        `Unknown shape "${options.shape}": use ${SHAPES.join(", ")}.`,
        EXIT.USAGE,
      );
    const prices = Object.hasOwn(PRICES, region) ? PRICES[region] : undefined;
    if (prices === undefined)
      throw new CommandError(
        "COST_INVALID_REGION",
        `No prices known for "${region}": use ${Object.keys(PRICES).join(", ")}.`,
        EXIT.USAGE,
      );
    const replicas = numberOf(
      "--replicas",
      options.replicas ?? "1",
      /^[1-9]\d*$/,
      "a whole number from 1",
    );
    if (shape === "efs" && replicas > 1)
      throw new CommandError(
        "COST_INVALID_REPLICAS",
        "--replicas must be 1 for the shape efs: only one container can use the SQLite database.",
        EXIT.USAGE,
      );
    const input = {
      shape,
      replicas,
      storageGb: numberOf(
        "--storage-gb",
        options["storage-gb"] ?? "10",
        /^\d+(\.\d+)?$/,
        "GB from 0",
      ),
      egressGb: numberOf("--egress-gb", options["egress-gb"] ?? "10", /^\d+(\.\d+)?$/, "GB from 0"),
    };
    const result = estimate(input, prices);
    output.say(costTable(input, region, result));
    output.json({
      code: "COST_OK",
      ...input,
      region,
      prices_date: PRICES_DATE,
      lines: result.lines,
      least_usd: result.least,
      most_usd: result.most,
      containers_usd: result.containers,
      containers_on_spot_usd: result.containersOnSpot,
    });
    return EXIT.OK;
  },
});

/** @throws CommandError COST_INVALID_NUMBER */
function numberOf(flag: string, text: string, form: RegExp, wants: string): number {
  if (form.test(text) && Number(text) <= MAX_INPUT) return Number(text);
  throw new CommandError(
    "COST_INVALID_NUMBER",
    `${flag} is "${text}": expected ${wants} to ${MAX_INPUT}.`,
    EXIT.USAGE,
  );
}
