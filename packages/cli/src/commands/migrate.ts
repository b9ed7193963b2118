import { existsSync } from "node:fs";
import {
  describeDatabase,
  describeStep,
  inspectData,
  loadApp,
  loadConfig,
  openStore,
  planMigration,
  toStored,
  validateManifest,
} from "@pylonsync/server";
import { nearest } from "@pylonsync/query";
import { ENTRY, locateApp } from "../app-dir.ts";
import { manifestOf } from "../backup/app-data.ts";
import { handOver, makeFolderOf, ownershipOf } from "../backup/ownership.ts";
import { counted } from "../counted.ts";
import { defineCommand, type CommandContext } from "../command.ts";
import { isConfirmed, YES } from "../confirm.ts";
import { resolvePaths } from "../data-place.ts";
import { hasErrors, sayDiagnostics } from "../diagnostics.ts";
import { withEnvFiles } from "../env-files.ts";
import { CommandError, EXIT } from "../output.ts";

const ACTIONS = ["plan", "apply", "status"] as const;
type Action = (typeof ACTIONS)[number];

const OPTIONS = {
  plan: { type: "boolean", summary: "Only show the steps, whatever the action." },
  ...YES,
  "allow-destructive": { type: "boolean", summary: "Apply steps that lose data too." },
  entry: ENTRY,
} as const;
type Context = CommandContext<typeof OPTIONS>;

/** `pylon migrate`: plans and applies a migration. */
export const migrate = defineCommand({
  name: "migrate",
  args: ["[plan|apply|status]", "[DIR]"],
  summary: "Show what the app's schema changes in the database (plan), or change it (apply).",
  options: OPTIONS,
  async run(context) {
    const { action, rest } = actionOf(context);
    const { dir, entry } = locateApp(rest, "MIGRATE");
    const { env } = withEnvFiles(dir, context.env);
    const { database } = loadConfig(
      { ...env, PYLON_DEV_MODE: "1" },
      resolvePaths(dir, env, { files: false, whenNone: "developed" }),
    );
    const loaded = await loadApp(dir, { entry, dev: true });
    const { manifest, diagnostics } = validateManifest(loaded.manifest);
    if (manifest === null || hasErrors(diagnostics)) {
      sayDiagnostics([...loaded.diagnostics, ...diagnostics], context.output);
      throw new CommandError("MIGRATE_INVALID_MANIFEST", "The app's manifest is not valid.");
    }
    const place = describeDatabase(database);
    // Neither looking nor a "no" makes a database, which a later command would take for one that is
    // served.
    const isNew = database.kind === "sqlite" && !existsSync(database.path);
    if (isNew) {
      const plan = planMigration(null, manifest);
      if (action !== "apply") return show(context, place, plan);
      if (!(await isAgreed(context, place, plan))) return EXIT.OK;
      await makeFolderOf(database.path);
    }
    const owner = database.kind === "sqlite" ? await ownershipOf(database.path) : null;
    const store = await openStore(database, { startTimeoutMs: 0, onState: () => undefined });
    try {
      const stored = await store.storedManifest();
      const plan = planMigration(
        stored === null ? null : manifestOf(stored),
        manifest,
        await inspectData(store, manifest, { allReferences: true }),
      );
      if (action !== "apply") return show(context, place, plan);
      // Of a new one it was asked before; but a server may have made it while somebody thought
      // about it.
      if (!(isNew && stored === null) && !(await isAgreed(context, place, plan))) return EXIT.OK;
      const { output } = context;
      const steps = stepsOf(plan);
      await store.migrate(() => ({
        migration: plan.migration,
        manifestJson: JSON.stringify(toStored(manifest)),
      }));
      if (plan.migration.steps.some(({ kind }) => kind === "mend_dates")) await store.renewLog();
      output.say(`Applied ${counted(steps.length, "step")} to ${place}.`);
      output.json({ code: "MIGRATE_OK", database: place, applied: steps.length, steps });
      return EXIT.OK;
    } finally {
      await store.close();
      if (isNew && owner !== null) await handOver(database.path, owner);
    }
  },
});

type Plan = ReturnType<typeof planMigration>;

function stepsOf({ migration }: Plan): { readonly step: string; readonly destructive: boolean }[] {
  return migration.steps.map((step) => ({
    step: describeStep(step),
    destructive: "destructive" in step,
  }));
}

function sayPlan({ output }: Context, place: string, plan: Plan): void {
  sayDiagnostics([...plan.problems, ...plan.notices], output);
  const steps = stepsOf(plan);
  output.say(
    steps.length === 0
      ? `${place} has the app's schema.`
      : [
          `Of ${place}:`,
          ...steps.map(({ step, destructive }) => `  ${destructive ? "! " : "  "}${step}`),
        ].join("\n"),
  );
}

/**
 * Whether the plan can be applied and, where it has steps, somebody agrees to them.
 *
 * @throws CommandError MIGRATE_BLOCKED, MIGRATE_DESTRUCTIVE, and what asking throws
 */
async function isAgreed(context: Context, place: string, plan: Plan): Promise<boolean> {
  sayPlan(context, place, plan);
  if (plan.problems.length > 0)
    throw new CommandError("MIGRATE_BLOCKED", "The schema can't be applied as it is: see above.");
  if (plan.destructive && !context.options["allow-destructive"]) {
    throw new CommandError(
      "MIGRATE_DESTRUCTIVE",
      "Steps marked with ! lose data: back the database up, then add --allow-destructive.",
    );
  }
  if (plan.migration.steps.length === 0 || (await isConfirmed(context, `Apply to ${place}?`)))
    return true;
  context.output.say("Aborted.");
  return false;
}

function show(context: Context, place: string, plan: Plan): number {
  const { problems, notices, destructive } = plan;
  const steps = stepsOf(plan);
  sayPlan(context, place, plan);
  context.output.json({
    code: "MIGRATE_PLAN",
    database: place,
    pending: steps.length,
    destructive,
    steps,
    problems,
    notices,
  });
  return problems.length > 0 ? EXIT.FAILED : EXIT.OK;
}

/**
 * `--plan` is `plan`; without a word it is `plan` too, because looking is safe.
 *
 * @throws CommandError USAGE for a mistyped action that no folder has the name of
 */
function actionOf(context: Context): { readonly action: Action; readonly rest: Context } {
  const [first, ...others] = context.args;
  const action = ACTIONS.find((candidate) => candidate === first);
  const isFolder = first !== undefined && existsSync(first);
  if ((first === "create" || first === "list") && !isFolder)
    throw new CommandError(
      "USAGE",
      `There is no \`pylon migrate ${first}\`, as there are no migration files: ` +
        "change app.ts, and `pylon migrate plan` shows the steps.",
      EXIT.USAGE,
    );
  const meant = first === undefined || isFolder ? undefined : nearest(first, ACTIONS);
  if (action === undefined && meant !== undefined)
    throw new CommandError(
      "USAGE",
      `There is no action or folder "${first}". Did you mean "${meant}"?`,
      EXIT.USAGE,
    );
  if (action === undefined) return { action: "plan", rest: context };
  return { action: context.options.plan ? "plan" : action, rest: { ...context, args: others } };
}
