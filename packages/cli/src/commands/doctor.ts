import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { compileApp, ConfigError, describeDatabase, loadApp, loadConfig, openStore, type Config, type LoadedApp } from "@pylonsync/server";
import { ENTRY, locateApp } from "../app-dir.ts";
import { defineCommand } from "../command.ts";
import { withEnvFiles, type Environment } from "../env-files.ts";
import { EXIT } from "../output.ts";

interface Check {
  readonly name: string;
  readonly status: "pass" | "warning" | "error";
  readonly message: string;
}

const MIN_DISK_BYTES = 100 * 1024 * 1024;
const WANTED_BUN = "1.4";

export const doctor = defineCommand({
  name: "doctor",
  args: ["[DIR]"],
  summary: "Check the app, its environment and this machine.",
  options: {
    entry: ENTRY,
  },
  async run(context) {
    const { dir, entry } = locateApp(context, "DOCTOR");
    const { env } = withEnvFiles(dir, context.env);
    const loaded = await loadApp(dir, { entry, dev: true });
    const { checks: ofConfig, config } = checkConfig(env, dir);
    const checks = [checkRuntime(), checkApp(loaded), ...ofConfig, ...(config === null ? [] : await checkMachine(config)), checkAdminToken(env)];
    const count = (status: Check["status"]): number => checks.filter((check) => check.status === status).length;
    const { output } = context;
    for (const { name, status, message } of checks) output.say(`${status.padEnd(8)}${name}: ${message}`);
    output.say(`${checks.length} checks, ${count("warning")} warnings, ${count("error")} errors`);
    output.json({ checks, passed: count("pass"), warnings: count("warning"), errors: count("error") });
    return count("error") === 0 ? EXIT.OK : EXIT.FAILED;
  },
});

function checkRuntime(): Check {
  const isRight = Bun.version.startsWith(WANTED_BUN);
  return { name: "runtime", status: isRight ? "pass" : "warning", message: isRight ? `Bun ${Bun.version}` : `Bun ${Bun.version}, and Pylon is tested on ${WANTED_BUN}: use the one that npm installs.` };
}

function checkApp(loaded: LoadedApp): Check {
  const { diagnostics } = compileApp(loaded, { dev: false });
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const shown = errors.length > 0 ? errors : diagnostics;
  if (shown.length === 0) return { name: "app", status: "pass", message: `the manifest is valid, ${loaded.functions.size} functions load` };
  return { name: "app", status: errors.length > 0 ? "error" : "warning", message: shown.map(({ code, message, hint }) => `${code}: ${message}${hint === undefined ? "" : ` ${hint}`}`).join(" | ") };
}

function checkConfig(env: Environment, dir: string): { checks: Check[]; config: Config | null } {
  try {
    const config = loadConfig(env, { PYLON_DB_PATH: join(dir, ".pylon", "dev.db") });
    return { checks: [{ name: "configuration", status: "pass", message: "every variable is usable in production" }], config };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { checks: [{ name: "configuration", status: "error", message: error.message }], config: null };
  }
}

function checkAdminToken(env: Environment): Check {
  const isSet = (env["PYLON_ADMIN_TOKEN"] ?? "") !== "";
  return { name: "admin token", status: isSet ? "pass" : "warning", message: isSet ? "PYLON_ADMIN_TOKEN is set" : "PYLON_ADMIN_TOKEN is not set, so /metrics, export and batch are closed in production." };
}

async function checkMachine(config: Config): Promise<Check[]> {
  return [await checkPort(config), await checkDatabase(config), await checkDisk(config)];
}

async function checkPort({ port }: Config): Promise<Check> {
  const isFree = await new Promise<boolean>((done) => {
    const probe = createServer();
    probe.once("error", () => done(false));
    probe.listen(port, () => probe.close(() => done(true)));
  });
  return { name: "port", status: isFree ? "pass" : "warning", message: isFree ? `${port} is free` : `${port} is in use: stop what listens there, or choose another with --port or PYLON_PORT.` };
}

async function checkDatabase({ database }: Config): Promise<Check> {
  const place = describeDatabase(database);
  if (database.kind === "sqlite" && !existsSync(database.path)) return { name: "database", status: "pass", message: `${place} will be made at the first start` };
  try {
    const store = await openStore(database, { startPatienceMs: 0, onState: () => undefined });
    await store.ping();
    await store.close();
    return { name: "database", status: "pass", message: place };
  } catch (error) {
    return { name: "database", status: "error", message: `${place} can't be opened: ${error instanceof Error ? error.message : String(error)}` };
  }
}

async function checkDisk({ database }: Config): Promise<Check> {
  const folder = nearestFolder(dirname(resolve(database.kind === "sqlite" ? database.path : ".")));
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const isEnough = free >= MIN_DISK_BYTES;
  return { name: "disk", status: isEnough ? "pass" : "error", message: `${Math.round(free / 1024 / 1024)} MiB free${isEnough ? "" : ": make room, or writes will be refused"}` };
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}
