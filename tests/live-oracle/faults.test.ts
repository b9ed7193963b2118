import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FAULT_SIZE, FAULTS } from "./faults.ts";

// Each fault is planted into a server of its own process, and the oracle must fail there.

const root = join(import.meta.dir, "../..");
const GENERATED = "live queries show";
/** Some faults only show if a message arrives at a certain moment, which a seed can't fix. */
const ATTEMPTS = 5;

/** Runs the scenario that should find the fault, in a process of its own. */
async function runOracle(
  fault: number,
  foundBy: number | string,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const isSeed = typeof foundBy === "number";
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      "--preload",
      "./tests/live-oracle/plant.ts",
      "--test-name-pattern",
      isSeed ? GENERATED : foundBy,
      "./tests/live-oracle/live-oracle.test.ts",
    ],
    {
      cwd: root,
      env: {
        ...process.env,
        PYLON_TEST_STORE: "sqlite",
        PYLON_PLANTED_FAULT: String(fault),
        ORACLE_SEED: isSeed ? String(foundBy) : "1",
        ORACLE_SEEDS: "1",
        ORACLE_STEPS: String(FAULT_SIZE.steps),
        ORACLE_QUERIES: String(FAULT_SIZE.queries),
        ORACLE_SHRINK_MS: "0",
      },
      stdout: "ignore",
      stderr: "pipe",
    },
  );
  const output = await new Response(child.stderr).text();
  return { exitCode: await child.exited, output };
}

test.each(FAULTS.map((fault) => [fault.name, fault] as const))(
  "can be planted: %s",
  (_name, { file, from }) => {
    const text = readFileSync(join(root, "packages/server/src", file), "utf8");
    expect(text.split(from)).toHaveLength(2);
  },
);

test.each(
  FAULTS.flatMap((fault, index) =>
    fault.isTimed === true ? [] : [[fault.name, index, fault.foundBy] as const],
  ),
)(
  "is found: %s",
  async (_name, index, foundBy) => {
    const isSeed = typeof foundBy === "number";
    let found = { exitCode: 0, output: "" };
    for (let attempt = 0; attempt < ATTEMPTS && found.exitCode === 0; attempt += 1)
      found = await runOracle(index, foundBy);
    expect(found.exitCode).toBe(1);
    // It has found a difference, and did not fail to load.
    expect(found.output).toMatch(isSeed ? /Seed \d+ with 1 server/ : /toEqual|Received/);
  },
  120_000,
);
