import { existsSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, loadApp, loadConfig, type Config } from "@pylonsync/server";
import { ENTRY, locateApp } from "../app-dir.ts";
import { counted } from "../counted.ts";
import { defineCommand } from "../command.ts";
import { checkStage } from "../deploy/sst.ts";
import { devPaths } from "../data-place.ts";
import { checkApp, checkPolicies } from "../doctor/app.ts";
import { error, pass, printChecks, summaryOf, warning, type Check } from "../doctor/check.ts";
import { checkMachine, checkRuntime } from "../doctor/machine.ts";
import { checkNames } from "../doctor/names.ts";
import { namesIn } from "../doctor/production-settings.ts";
import { checkProduction } from "../doctor/production.ts";
import { withEnvFiles, type Environment } from "../env-files.ts";
import { CommandError, EXIT } from "../output.ts";

/** `pylon doctor`: checks the machine and the app, or a deployment's settings. */
export const doctor = defineCommand({
  name: "doctor",
  args: ["[DIR]"],
  summary:
    "Check the app, its environment and this machine; with --production, check whether it is " +
    "ready for production.",
  options: {
    production: {
      type: "boolean",
      summary:
        "Check the production settings: the environment and .env.production, or with an " +
        "sst.config.ts the stage's settings.",
    },
    stage: {
      type: "string",
      value: "S",
      summary: "With --production and an sst.config.ts: the stage; default production.",
    },
    "env-file": {
      type: "string",
      value: "FILE",
      summary:
        "With --production: the environment file of the server; default .env.production, or " +
        ".env.systemd if that does not exist.",
    },
    entry: ENTRY,
  },
  async run(context) {
    const { output, options, env } = context;
    const { dir, entry } = locateApp(context, "DOCTOR");
    const { stage = "production" } = options;
    checkStage(stage, "DOCTOR_INVALID_STAGE");
    const envFile = options["env-file"];
    if (envFile !== undefined && !options.production)
      throw new CommandError(
        "USAGE",
        "--env-file requires --production: without it, .env is read.",
        EXIT.USAGE,
      );
    if (envFile !== undefined && !existsSync(envFile))
      throw new CommandError("DOCTOR_NO_ENV_FILE", `File ${envFile} does not exist.`, EXIT.USAGE);
    const checks = options.production
      ? await checkProduction({ dir, entry, stage, envFile, env })
      : await checkHere(dir, entry, env);
    const { passed, warnings, errors } = summaryOf(checks);
    printChecks(checks, output);
    output.say(
      [
        counted(checks.length, "check"),
        counted(warnings, "warning"),
        counted(errors, "error"),
      ].join(", "),
    );
    output.json({ checks, passed, warnings, errors });
    return errors === 0 ? EXIT.OK : EXIT.FAILED;
  },
});

async function checkHere(dir: string, entry: string, own: Environment): Promise<Check[]> {
  const { env } = withEnvFiles(dir, own);
  const loaded = await loadApp(dir, { entry, dev: true });
  const { check, config } = checkConfig(env, dir);
  return [
    checkRuntime(),
    checkApp(loaded),
    checkPolicies(loaded),
    check,
    checkNames({ env, known: namesIn(join(dir, "infra")) }),
    ...(config === null ? [] : await checkMachine(config)),
    checkAdminToken(env),
  ];
}

function checkConfig(
  env: Environment,
  dir: string,
): { readonly check: Check; readonly config: Config | null } {
  try {
    return {
      config: loadConfig(env, devPaths(dir, env)),
      check: pass("configuration", "every variable is valid in production"),
    };
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    return { config: null, check: error("configuration", cause.message) };
  }
}

function checkAdminToken(env: Environment): Check {
  const isSet = (env["PYLON_ADMIN_TOKEN"] ?? "") !== "";
  return isSet
    ? pass("admin token", "PYLON_ADMIN_TOKEN is set")
    : warning(
        "admin token",
        "PYLON_ADMIN_TOKEN is not set, so /metrics, export and batch are unavailable in " +
          "production.",
      );
}
