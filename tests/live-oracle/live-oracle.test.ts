import { test } from "bun:test";
import fc from "fast-check";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenario.ts";

const SEEDS = Number(process.env["ORACLE_SEEDS"] ?? 12);
const SEED = Number(process.env["ORACLE_SEED"] ?? Date.now() % 2 ** 31);

test("live queries show what a look through all rows finds, whatever is written and whoever comes back", async () => {
  await fc.assert(fc.asyncProperty(scenarios(30), runScenario), {
    seed: SEED,
    numRuns: SEEDS,
    // Each attempt starts a server.
    interruptAfterTimeLimit: 600_000,
  });
}, 900_000);
