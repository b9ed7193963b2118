// `pylon start` with rooms that forget sooner, for tests that wait for it:
// `bun short-times.ts start DIR --port N`.
import { parseArgs } from "node:util";
import { createServer, loadApp, loadConfig } from "@pylonsync/server";

/**
 * Each long enough for a machine that is busy, and one after another in this order: a lost replica
 * is found out, then a user who does not connect again, then the members of one that has stopped.
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
