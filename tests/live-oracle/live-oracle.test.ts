import { test } from "bun:test";
import fc from "fast-check";
import { REGRESSIONS } from "./regressions.ts";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenario.ts";

const IS_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const SEEDS = Number(process.env["ORACLE_SEEDS"] ?? (IS_POSTGRES ? 4 : 16));
const SEED = Number(process.env["ORACLE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** Each attempt starts a server. */
const MAX_MS = SEEDS * 30_000 + 120_000;

test.each(REGRESSIONS.map((scenario, index) => [index, scenario] as const))(
  "regression %d stays mended",
  async (_index, scenario) => runScenario(scenario),
  60_000,
);

test(
  `live queries show what a look through all rows finds, whatever is written (seed ${SEED})`,
  async () => {
    await fc.assert(fc.asyncProperty(scenarios(30), runScenario), {
      seed: SEED,
      numRuns: SEEDS,
      // Shrinking ends with the smallest scenario that was found by then.
      interruptAfterTimeLimit: MAX_MS - 30_000,
      markInterruptAsFailure: false,
    });
  },
  MAX_MS,
);
