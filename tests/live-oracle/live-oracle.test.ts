import { expect, test } from "bun:test";
import { HAND_WRITTEN, REGRESSIONS, RETURNS } from "./regressions.ts";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenario.ts";
import { runSeeds } from "./seeds.ts";

const IS_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const numberOf = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);
const SEEDS = numberOf("ORACLE_SEEDS", 300);
/** The same scenarios in each run, so that a failure is due to the change that is tested. */
const SEED = numberOf("ORACLE_SEED", 1);
const SIZE = { steps: numberOf("ORACLE_STEPS", 6), queries: numberOf("ORACLE_QUERIES", 3) };
const SHRINK_MS = numberOf("ORACLE_SHRINK_MS", 60_000);
/** Two replicas can share a Postgres; a SQLite file belongs to one server. */
const REPLICAS = process.env["ORACLE_REPLICAS"]?.split(",").map(Number) ?? [1, 2];
const MAX_MS = SEEDS * 10_000 + SHRINK_MS + 120_000;

test.each(REGRESSIONS.map((scenario, index) => [index, scenario] as const))(
  "regression %d stays fixed",
  async (_index, scenario) => runScenario(scenario, IS_POSTGRES ? 2 : 1),
  60_000,
);

test.each(HAND_WRITTEN)(
  "%s",
  async (_name, scenario) => runScenario(scenario, IS_POSTGRES ? 2 : 1),
  60_000,
);

test.each(IS_POSTGRES ? [1, 2] : [1])(
  "changes that are committed while included rows are read are sent, with %d server(s)",
  async (replicas) => runScenario(RETURNS, replicas),
  60_000,
);

test(
  `live queries show what a scan of all rows finds: ${SEEDS} scenarios from seed ${SEED}`,
  async () => {
    const run = await runSeeds(scenarios(SIZE), {
      first: SEED,
      count: SEEDS,
      replicas: IS_POSTGRES ? REPLICAS : [1],
      shrinkMs: SHRINK_MS,
    });
    expect(run).toBe(SEEDS);
  },
  MAX_MS,
);
