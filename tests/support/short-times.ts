// `pylon start` with shorter timeouts of rooms, for tests that wait for them: `bun short-times.ts
// start DIR --port N`.
import { parseArgs } from "node:util";
import { createServer, loadApp, loadConfig } from "@pylonsync/server";

/**
 * Each is long enough for a busy machine, and they expire in this order: a lost replica is
 * detected, then a user who does not reconnect, then the members of a replica that has stopped.
 */
export const SHORT_TIMES = { leaseMs: 3_000, graceMs: 3_500, handOverMs: 7_000, sweepMs: 200 };

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { port: { type: "string", default: "0" } },
  });
  const [, dir = "."] = positionals;
  const env = { ...process.env, PYLON_PORT: values.port };
  const app = await loadApp(dir, { dev: false });
  const server = createServer({ app, config: loadConfig(env), env, roomTimes: SHORT_TIMES });
  process.once("SIGTERM", () => void server.stop().then(() => process.exit(0)));
  await server.start();
}
