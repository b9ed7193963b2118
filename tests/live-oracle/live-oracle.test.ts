import { test } from "bun:test";
import fc from "fast-check";
import { REGRESSIONS, RETURNS } from "./regressions.ts";
import { runScenario } from "./run-scenario.ts";
import { includeScenarios, scenarios } from "./scenario.ts";

const IS_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const SEEDS = Number(process.env["ORACLE_SEEDS"] ?? (IS_POSTGRES ? 4 : 16));
const SEED = Number(process.env["ORACLE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** Several replicas share a Postgres. */
const replicas = IS_POSTGRES ? fc.constantFrom(1, 2) : fc.constant(1);
/** Each attempt starts a server. */
const MAX_MS = SEEDS * 30_000 + 120_000;

test.each(REGRESSIONS.map((scenario, index) => [index, scenario] as const))(
  "regression %d stays mended",
  async (_index, scenario) => runScenario(scenario, IS_POSTGRES ? 2 : 1),
  60_000,
);

test("changes that are committed while included rows are read are told of", async () => {
  await runScenario(RETURNS);
}, 60_000);

test.each([
  [
    "live queries show what a look through all rows finds, whatever is written",
    scenarios(30),
    SEEDS,
  ],
  ["who comes back has the included rows as they are now", includeScenarios(20), SEEDS / 2],
])(
  `%s (seed ${SEED})`,
  async (_what, scenario, seeds) => {
    await fc.assert(fc.asyncProperty(scenario, replicas, runScenario), {
      seed: SEED,
      numRuns: Math.ceil(seeds),
      // Shrinking ends with the smallest scenario that was found by then.
      interruptAfterTimeLimit: MAX_MS - 30_000,
      markInterruptAsFailure: false,
    });
  },
  MAX_MS,
);
