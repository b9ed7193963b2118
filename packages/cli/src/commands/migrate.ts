import { join } from "node:path";
import { describeStep, filledFields, loadApp, loadConfig, openStore, planMigration, validateManifest } from "@pylonsync/server";
import type { Manifest } from "@pylonsync/sdk";
import { ENTRY, locateApp } from "../app-dir.ts";
import { defineCommand, type CommandContext } from "../command.ts";
import { isConfirmed, YES } from "../confirm.ts";
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

export const migrate = defineCommand({
  name: "migrate",
  args: ["[plan|apply|status]", "[DIR]"],
  summary: "Show what the app's schema changes in the database (plan), or change it (apply).",
  options: OPTIONS,
  async run(context) {
    const { action, rest } = actionOf(context);
    const { dir, entry } = locateApp(rest, "MIGRATE");
    const { env } = withEnvFiles(dir, context.env);
    const config = loadConfig({ ...env, PYLON_DEV_MODE: "1" }, { PYLON_DB_PATH: join(dir, ".pylon", "dev.db") });
    const loaded = await loadApp(dir, { entry, dev: true });
    const { manifest, diagnostics } = validateManifest(loaded.manifest);
    if (manifest === null || hasErrors(diagnostics)) {
      sayDiagnostics([...loaded.diagnostics, ...diagnostics], context.output);
      throw new CommandError("MIGRATE_INVALID_MANIFEST", "The app's manifest is not valid.");
    }
    const store = await openStore(config.database, { startPatienceMs: 0, onState: () => undefined });
    try {
      const stored = await store.storedManifest();
      const { migration, problems, destructive } = planMigration(stored === null ? null : (JSON.parse(stored) as Manifest), manifest, await filledFields(store, manifest));
      const steps = migration.steps.map((step) => ({ step: describeStep(step), destructive: "destructive" in step }));
      const { output, options } = context;
      sayDiagnostics(problems, output);
      output.say(steps.length === 0 ? "The database has the app's schema." : steps.map(({ step, destructive: loses }) => `  ${loses ? "! " : "  "}${step}`).join("\n"));
      if (action !== "apply") {
        output.json({ code: "MIGRATE_PLAN", pending: steps.length, destructive, steps, problems });
        return problems.length > 0 ? EXIT.FAILED : EXIT.OK;
      }
      if (problems.length > 0) throw new CommandError("MIGRATE_BLOCKED", "The schema can't be applied as it is: see above.");
      if (destructive && !options["allow-destructive"]) {
        throw new CommandError("MIGRATE_DESTRUCTIVE", "Steps marked with ! lose data: back the database up, then add --allow-destructive.");
      }
      if (steps.length > 0 && !(await isConfirmed(context, "Apply?"))) {
        output.say("Aborted.");
        return EXIT.OK;
      }
      await store.migrate(() => ({ migration, manifestJson: JSON.stringify(manifest) }));
      output.say(`Applied ${steps.length} ${steps.length === 1 ? "step" : "steps"}.`);
      output.json({ code: "MIGRATE_OK", applied: steps.length, steps });
      return EXIT.OK;
    } finally {
      await store.close();
    }
  },
});

/** `--plan` is `plan`; without a word it is `plan` too, because looking is safe. */
function actionOf(context: Context): { readonly action: Action; readonly rest: Context } {
  const [first, ...others] = context.args;
  const action = ACTIONS.find((candidate) => candidate === first);
  if (action === undefined) return { action: "plan", rest: context };
  return { action: context.options.plan ? "plan" : action, rest: { ...context, args: others } };
}
