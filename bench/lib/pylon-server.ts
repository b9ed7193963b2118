// Ours, as `pylon start` runs it, without rate limits: a bench is one client.
import { createServer, loadApp, loadConfig } from "@pylonsync/server";

const [path = "bench.db"] = process.argv.slice(2);
const telemetry = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name.startsWith("OTEL_")),
);
const config = loadConfig({
  ...telemetry,
  PYLON_PORT: "0",
  PYLON_SINGLE_PORT: "1",
  PYLON_DB_PATH: path,
  DATABASE_URL: process.env["DATABASE_URL"],
  REDIS_URL: process.env["REDIS_URL"],
  PYLON_ADMIN_TOKEN: process.env["PYLON_ADMIN_TOKEN"],
  PYLON_LOG_LEVEL: "warn",
  PYLON_RATE_LIMIT_MAX: "0",
  PYLON_FN_RATE_LIMIT_MAX: "0",
  PYLON_MAX_CONNECTIONS_PER_IP: "1000000",
});
const folder = process.env["BENCH_APP"] ?? "app";
const app = await loadApp(new URL(`../${folder}`, import.meta.url).pathname, { dev: false });
const server = createServer({ app, config });
await server.start();
process.stdout.write(`${server.url}\n`);
process.on("SIGINT", () => process.exit(0));
