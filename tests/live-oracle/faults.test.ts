import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FAULT_SIZE, FAULTS } from "./faults.ts";

// Each fault is planted into a server of its own process, and the oracle must fail there.

const root = join(import.meta.dir, "../..");
const GENERATED = "live queries show";

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
          PYLON_PLANTED_FAULT: String(index),
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
    expect(await child.exited).toBe(1);
    // It has found a difference, and did not fail to load.
    expect(output).toMatch(isSeed ? /Seed \d+ with 1 server/ : /toEqual|Received/);
  },
  120_000,
);
