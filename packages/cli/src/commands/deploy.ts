import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { compileApp, loadApp } from "@pylonsync/server";
import pkg from "../../package.json" with { type: "json" };
import { ENTRY, locateApp } from "../app-dir.ts";
import { defineCommand } from "../command.ts";
import type { WrittenFile } from "../deploy/deploy-file.ts";
import { withDevDependencies } from "../deploy/dev-dependencies.ts";
import { writeComposeEnvironment, writeSystemdEnvironment } from "../deploy/environment-files.ts";
import { ignoreInGit, PRIVATE_FILES } from "../deploy/ignore-lines.ts";
import { chooseShape, consequence } from "../deploy/shape.ts";
import { checkStage, findSst, runSst, SST_VERSION } from "../deploy/sst.ts";
import {
  deploymentName,
  filesOf,
  nextSteps,
  SHAPES,
  TARGETS,
  type Target,
} from "../deploy/targets.ts";
import { writeFiles } from "../deploy/write-files.ts";
import { hasErrors, sayDiagnostics } from "../diagnostics.ts";
import { printChecks, summaryOf } from "../doctor/check.ts";
import { checkProduction } from "../doctor/production.ts";
import { CommandError, EXIT, type Output } from "../output.ts";

/** Targets of other systems that users ask for, and why they are not supported. */
const NO_TARGETS: Readonly<Record<string, string>> = {
  workers:
    "Workers are not supported: they have neither the database connections nor the long-lived " +
    "sockets that a Pylon server needs.",
  cloud: "There is no hosted Pylon: deploy it to your own infrastructure.",
};

/** `pylon deploy`: writes the files of a deployment, and deploys a stage with SST. */
export const deploy = defineCommand({
  name: "deploy",
  args: ["[DIR]"],
  summary:
    "Write the files for a deployment of the app; with --target sst and --stage, also deploy it " +
    "to AWS.",
  options: {
    target: { type: "string", value: TARGETS.join("|"), summary: "The deployment target." },
    stage: {
      type: "string",
      value: "S",
      summary:
        "sst: the stage to deploy, such as production. Without it, files are written and " +
        "nothing is deployed.",
    },
    shape: {
      type: "string",
      value: SHAPES.join("|"),
      summary:
        "sst: the shape of the infrastructure; default that of the existing sst.config.ts, else " +
        "`default`. `pylon cost` compares them.",
    },
    out: { type: "string", value: "DIR", summary: "The output folder; default the app's folder." },
    force: {
      type: "boolean",
      summary:
        "Overwrite changed files and keep copies of them; files with secrets are never " +
        "overwritten.",
    },
    entry: ENTRY,
  },
  async run({ args, options, output }) {
    const target = targetOf(options.target);
    if (options.shape !== undefined && target !== "sst")
      throw new CommandError(
        "USAGE",
        `--shape requires --target sst; it does not apply to ${target}.`,
        EXIT.USAGE,
      );
    const { dir, entry } = locateApp({ args, options }, "DEPLOY");
    const out = options.out === undefined ? dir : resolve(options.out);
    const { stage } = options;
    checkUse(target, stage, out === dir);
    const { shape, from } = chooseShape(target === "sst" ? [out, dir] : [], {
      given: options.shape,
      force: options.force,
      stage,
    });
    const name = deploymentName(await checkedName(dir, entry, output));

    const wanted = filesOf(target, name, shape);
    const packages = out === dir ? withDevDependencies(dir, name, packagesOf(target)) : null;
    const files = [
      ...writeFiles(out, packages === null ? wanted : [...wanted, packages], options),
      ...writeEnvironment(target, out),
    ];
    ignoreInGit(out, ["node_modules/", ...PRIVATE_FILES, ...(target === "sst" ? [".sst/"] : [])]);
    sayFiles(files, output);
    if (shape === null)
      output.warn(
        "  kept     sst.config.ts: it matches none of the shapes that this version " + "knows",
      );
    if (from !== null && shape !== null)
      output.warn(`pylon: sst.config.ts now has the shape ${shape}. ${consequence(from, shape)}`);

    const isInstalled = packages === null && isReadyToBuild(target, dir);
    const written = { target, ...(target === "sst" ? { shape } : {}), out_dir: out, files };
    if (stage !== undefined && isInstalled) {
      await checkStageSettings(dir, entry, stage, output);
      return deployStage(dir, stage, written, output);
    }
    const next = [...(isInstalled ? [] : ["npm install"]), ...nextSteps(target, name, stage)];
    output.say(`\nNext:\n${next.map((step) => `  ${step}`).join("\n")}`);
    if (stage === undefined) {
      output.json({ code: "DEPLOY_OK", ...written, next });
      return EXIT.OK;
    }
    output.json({ code: "DEPLOY_NOT_INSTALLED", ...written, next });
    output.warn(
      "pylon: nothing was deployed, because the packages are not installed yet: run `npm " +
        "install`, then repeat this command.",
    );
    return EXIT.FAILED;
  },
});

/** @returns the exit code of SST */
async function deployStage(
  dir: string,
  stage: string,
  written: object,
  output: Output,
): Promise<number> {
  output.say(`\nsst deploy --stage ${stage}`);
  const exitCode = await runSst(dir, ["deploy", "--stage", stage], output);
  const code = exitCode === 0 ? "DEPLOY_OK" : "DEPLOY_FAILED";
  output.json({ code, ...written, stage, exit_code: exitCode });
  return exitCode;
}

/**
 * The packages that a target's build needs from the app's package.json; the image compiles the
 * command that is pinned there.
 */
function packagesOf(target: Target): Readonly<Record<string, string>> {
  if (target === "systemd") return {};
  return { "@pylonsync/cli": pkg.version, ...(target === "sst" ? { sst: SST_VERSION } : {}) };
}

/** Whether the image can be built from the lock file, and SST run from the app's own packages. */
function isReadyToBuild(target: Target, dir: string): boolean {
  if (target === "systemd") return true;
  return existsSync(join(dir, "package-lock.json")) && (target !== "sst" || findSst(dir) !== null);
}

/** @throws CommandError INVALID_TARGET */
function targetOf(given: string | undefined): Target {
  const target = TARGETS.find((known) => known === given);
  if (target !== undefined) return target;
  const what =
    given === undefined
      ? "Specify a target with --target."
      : (NO_TARGETS[given] ?? `Unknown target "${given}".`);
  throw new CommandError(
    "INVALID_TARGET",
    `${what} The targets are ${TARGETS.join(", ")}.`,
    given === undefined ? EXIT.USAGE : EXIT.FAILED,
  );
}

/** @throws CommandError for incompatible flags */
function checkUse(target: Target, stage: string | undefined, isInPlace: boolean): void {
  if (stage === undefined) return;
  if (target !== "sst")
    throw new CommandError(
      "USAGE",
      `--stage requires --target sst; for ${target} only files are written.`,
      EXIT.USAGE,
    );
  if (!isInPlace)
    throw new CommandError(
      "USAGE",
      "--out and --stage can't be combined: SST deploys from the app's own folder.",
      EXIT.USAGE,
    );
  checkStage(stage, "DEPLOY_INVALID_STAGE");
}

/** @returns the app's name @throws CommandError DEPLOY_CHECKS_FAILED if the app is not valid */
async function checkedName(dir: string, entry: string, output: Output): Promise<string> {
  const { app, diagnostics } = compileApp(await loadApp(dir, { entry, dev: true }), { dev: false });
  sayDiagnostics(diagnostics, output);
  if (app === null || hasErrors(diagnostics))
    throw new CommandError(
      "DEPLOY_CHECKS_FAILED",
      "The app has errors, so nothing was written. Run `pylon dev --once` to see them.",
    );
  return app.manifest.name;
}

function writeEnvironment(target: Target, out: string): WrittenFile[] {
  if (target === "compose") return writeComposeEnvironment(out);
  return target === "systemd" ? writeSystemdEnvironment(out) : [];
}

/** @throws CommandError DEPLOY_CHECKS_FAILED */
async function checkStageSettings(
  dir: string,
  entry: string,
  stage: string,
  output: Output,
): Promise<void> {
  const checks = await checkProduction({ dir, entry, stage, envFile: undefined, env: process.env });
  const { errors } = summaryOf(checks);
  if (errors === 0) return;
  printChecks(
    checks.filter(({ status }) => status !== "pass"),
    output,
  );
  throw new CommandError(
    "DEPLOY_CHECKS_FAILED",
    `${errors} ${errors === 1 ? "check" : "checks"} of \`pylon doctor --production\` failed, so \
nothing was deployed: ${checks
      .filter(({ status }) => status === "error")
      .map(({ name, message }) => `${name}: ${message}`)
      .join(" | ")}`,
  );
}

function sayFiles(files: readonly WrittenFile[], output: Output): void {
  for (const { path, state, copy } of files) {
    if (state === "written")
      output.say(
        `  wrote    ` +
          `${path}${copy === undefined ? "" : `; the previous version is in ${copy}`}`,
      );
    if (state === "kept")
      output.warn(
        `  kept     ${path}: it differs from the generated file; ` +
          "--force overwrites it and keeps a copy",
      );
  }
  if (!files.some(({ state }) => state !== "unchanged")) output.say("Every file is up to date.");
}
