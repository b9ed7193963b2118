import fc from "fast-check";
import { runScenario, runScenarios, ScenarioFailure } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";

/** The number of scenarios that share a server. */
const SCENARIOS_PER_SERVER = 20;

export interface SeedOptions {
  /** The first seed; the others follow it. Each seed is one scenario. */
  readonly first: number;
  readonly count: number;
  /** The numbers of replicas to use. The servers use them in turn. */
  readonly replicas: readonly number[];
  /** The maximum time for shrinking a failed scenario, in milliseconds; 0 to leave it as it is. */
  readonly shrinkMs: number;
}

/**
 * Runs the scenario of each seed. A scenario that fails is run again on a separate server, where it
 * is shrunk as far as possible.
 *
 * @returns the number of scenarios that ran
 * @throws Error with the seed, the number of replicas and the scenario
 */
export async function runSeeds(
  scenarios: fc.Arbitrary<Scenario>,
  { first, count, replicas, shrinkMs }: SeedOptions,
): Promise<number> {
  let ran = 0;
  for (let done = 0, server = 0; done < count; done += SCENARIOS_PER_SERVER, server += 1) {
    const seeds = Array.from(
      { length: Math.min(SCENARIOS_PER_SERVER, count - done) },
      (_, index) => first + done + index,
    );
    const servers = replicas[server % replicas.length] ?? 1;
    const all = seeds.map((seed) => scenarioOf(scenarios, seed));
    try {
      await runScenarios(all, servers);
      ran += all.length;
    } catch (error) {
      if (!(error instanceof ScenarioFailure)) throw error;
      const seed = seeds[error.index] ?? first;
      const found = `Seed ${seed} with ${servers} server replica(s)`;
      if (shrinkMs > 0)
        await shrink(scenarios, seed, servers, shrinkMs).catch((smaller: unknown) => {
          throw new Error(`${found} fails.`, { cause: smaller });
        });
      throw new Error(
        `${found} fails after the scenarios before it: ${JSON.stringify(all[error.index])}`,
        { cause: error.cause },
      );
    }
  }
  return ran;
}

function scenarioOf(scenarios: fc.Arbitrary<Scenario>, seed: number): Scenario {
  const found: Scenario[] = [];
  fc.assert(
    fc.property(fc.noBias(scenarios), (scenario) => void found.push(scenario)),
    { seed, numRuns: 1 },
  );
  const [scenario] = found;
  if (scenario === undefined) throw new Error(`There is no scenario of the seed ${seed}.`);
  return scenario;
}

/** @throws Error with the smallest failing scenario that was found within the time */
async function shrink(
  scenarios: fc.Arbitrary<Scenario>,
  seed: number,
  replicas: number,
  maxMs: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.noBias(scenarios), (scenario) => runScenario(scenario, replicas)),
    { seed, numRuns: 1, interruptAfterTimeLimit: maxMs, markInterruptAsFailure: false },
  );
}
