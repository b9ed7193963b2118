// Runs the oracle of live queries: `npm run oracle -- --seeds N [--seed S] [--steps N]
// [--queries N] [--store postgres] [--replicas 1,2] [--fault INDEX]`. A failure prints the seed and
// the smallest scenario that fails. A fault is one of tests/live-oracle/faults.ts, which is planted
// to show that it is found.
import { spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";

const BUN = "node_modules/.bin/bun";
const args = process.argv.slice(2);
const valueOf = (name) => {
  const index = args.indexOf(name);
  return index === -1 ? undefined : args[index + 1];
};
const given = {
  ORACLE_SEEDS: valueOf("--seeds") ?? "300",
  ORACLE_SEED: valueOf("--seed") ?? String(randomInt(2 ** 30)),
  ORACLE_STEPS: valueOf("--steps"),
  ORACLE_QUERIES: valueOf("--queries"),
  ORACLE_REPLICAS: valueOf("--replicas"),
  PYLON_TEST_STORE: valueOf("--store"),
  PYLON_PLANTED_FAULT: valueOf("--fault"),
};
const preload =
  given.PYLON_PLANTED_FAULT === undefined ? [] : ["--preload", "./tests/live-oracle/plant.ts"];
const servers = given.PYLON_TEST_STORE === "postgres" ? await startServers() : null;
const { status } = spawnSync(BUN, ["test", ...preload, "./tests/live-oracle/live-oracle.test.ts"], {
  stdio: "inherit",
  env: {
    ...process.env,
    ...servers?.env,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  },
});
await servers?.stop();
process.exit(status ?? 1);

/** Starts the Postgres of the tests, unless a variable names another one. */
async function startServers() {
  const child = spawn(BUN, ["tests/support/servers/main.ts"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const line = once(createInterface({ input: child.stdout }), "line").then(([text]) => text);
  const text = await Promise.race([line, ended.then(() => null)]);
  if (text === null) throw new Error("The Postgres for the tests did not start.");
  return {
    env: JSON.parse(text),
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
