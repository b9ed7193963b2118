// Runs the oracle of live queries for a number of scenarios: `npm run oracle -- --seeds N [--seed
// S]`. A failure prints the seed and the smallest failing scenario.
import { spawnSync } from "node:child_process";

const args = process.argv.slice(2);
const valueOf = (name, fallback) => {
  const index = args.indexOf(name);
  return index === -1 ? fallback : args[index + 1];
};
const { status } = spawnSync(
  "node_modules/.bin/bun",
  ["test", "tests/live-oracle/live-oracle.test.ts"],
  {
    stdio: "inherit",
    env: {
      ...process.env,
      ORACLE_SEEDS: valueOf("--seeds", "300"),
      ...(args.includes("--seed") ? { ORACLE_SEED: valueOf("--seed") } : {}),
    },
  },
);
process.exit(status ?? 1);
