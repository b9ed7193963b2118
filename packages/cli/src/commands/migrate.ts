import { existsSync } from "node:fs";
import {
  applyMigration,
  dataMigrationStates,
  describeDatabase,
  describeStep,
  inspectData,
  loadApp,
  loadConfig,
  migrateToManifest,
  migrationHistory,
  openStore,
  planMigration,
  planStart,
  SERVER_VERSION,
  validateManifest,
  type DataMigrationState,
  type LoadedApp,
  type MigrationHistory,
} from "@pylonsync/server";
import { nearest } from "@pylonsync/query";
import { ENTRY, locateApp } from "../app-dir.ts";
import { manifestOf } from "../backup/app-data.ts";
import { takeDatabase } from "../backup/take-database.ts";
import { applyOwnership, makeFolderOf, ownershipOf } from "../backup/ownership.ts";
import { counted } from "../counted.ts";
import { defineCommand, type CommandContext } from "../command.ts";
import { isConfirmed, YES } from "../confirm.ts";
import { resolvePaths } from "../data-place.ts";
import { hasErrors, sayDiagnostics } from "../diagnostics.ts";
import { withEnvFiles } from "../env-files.ts";
import { CommandError, EXIT } from "../output.ts";
import { checkMigrationName, createMigration } from "./migrate-create.ts";

const ACTIONS = ["plan", "apply", "status", "create"] as const;
type Action = (typeof ACTIONS)[number];

type Store = Awaited<ReturnType<typeof openStore>>;
type Database = ReturnType<typeof loadConfig>["database"];

const OPTIONS = {
  plan: { type: "boolean", summary: "Only show the steps, whichever action is given." },
  ...YES,
  "allow-destructive": { type: "boolean", summary: "Also apply steps that lose data." },
  entry: ENTRY,
} as const;
type Context = CommandContext<typeof OPTIONS>;

/** `pylon migrate`: plans and applies a migration. */
export const migrate = defineCommand({
  name: "migrate",
  args: ["[plan|apply|status|create NAME]", "[DIR]"],
  summary:
    "Show the pending schema changes (plan), show past ones too (status), apply them (apply), " +
    "or create a data migration (create).",
  options: OPTIONS,
  async run(context) {
    const { action, rest } = actionOf(context);
    if (action === "create") return create(rest);
    const { dir, entry } = locateApp(rest, "MIGRATE");
    const { env } = withEnvFiles(dir, context.env);
    const { database } = loadConfig(
      { ...env, PYLON_DEV_MODE: "1" },
      resolvePaths(dir, env, { files: false, whenNone: "developed" }),
    );
    const loaded = await loadApp(dir, { entry, dev: true });
    const { manifest, diagnostics } = validateManifest(loaded.manifest, loaded.manifestModule);
    checkFiles(context, loaded);
    if (manifest === null || hasErrors(diagnostics)) {
      sayDiagnostics([...loaded.diagnostics, ...diagnostics], context.output);
      throw new CommandError("MIGRATE_INVALID_MANIFEST", "The app's manifest is not valid.");
    }
    const place = describeDatabase(database);
    // Neither planning nor a "no" creates a database, which a later command would consider to be in
    // use.
    const isNew = database.kind === "sqlite" && !existsSync(database.path);
    if (isNew) {
      const plan = planMigration(null, manifest);
      if (action !== "apply")
        return show(context, place, { plan, data: await dataOf(loaded, null) });
      if (!(await confirmPlan(context, place, plan))) return EXIT.OK;
      await makeFolderOf(database.path);
    }
    const owner = database.kind === "sqlite" ? await ownershipOf(database.path) : null;
    const store = await openStore(database, { startTimeoutMs: 0, onState: () => undefined });
    try {
      const stored = await store.storedManifest();
      const from = stored === null ? null : manifestOf(stored);
      const facts = await inspectData(store, manifest, { allReferences: true });
      const plan = planMigration(from, manifest, facts);
      if (action !== "apply") {
        const history = action === "status" ? await migrationHistory(store) : undefined;
        return show(context, place, { plan, data: await dataOf(loaded, store), history });
      }
      const kept = keptSteps(context, plan, planStart(from, manifest, facts, { dev: true }));
      // For a new database it was asked before; but a server may have created it in the meantime.
      if (!(isNew && stored === null) && !(await confirmPlan(context, place, plan, kept)))
        return EXIT.OK;
      using _lock = await lockedFor(kept ?? plan, database);
      await apply(context, { store, place, manifest, plan, kept });
      return EXIT.OK;
    } finally {
      await store.close();
      if (isNew && owner !== null) await applyOwnership(database.path, owner);
    }
  },
});

type Plan = ReturnType<typeof planMigration>;
type StartPlan = ReturnType<typeof planStart>;
type Steps = Pick<Plan, "migration">;

/**
 * The steps to apply without `--allow-destructive`, if the others only delete what the app no
 * longer declares: the app runs without them, as after a server's start.
 *
 * @returns undefined if all steps are applied, or none
 */
function keptSteps({ options }: Context, plan: Plan, start: StartPlan): Steps | undefined {
  if (!plan.destructive || options["allow-destructive"] === true) return undefined;
  const isUseful = start.problems.length === 0 && start.migration.steps.length > 0;
  return isUseful ? start : undefined;
}

/**
 * Locks a SQLite database for steps after which a server that is running on it would misread rows,
 * and tell clients nothing of the new values.
 *
 * @throws CommandError MIGRATE_IN_USE
 */
async function lockedFor({ migration }: Steps, database: Database): Promise<Disposable | null> {
  const isForNewVersion = migration.steps.some(
    (step) => "destructive" in step || step.kind === "convert_column",
  );
  return isForNewVersion && database.kind === "sqlite"
    ? takeDatabase(database.path, "MIGRATE_IN_USE")
    : null;
}

interface Applied {
  readonly store: Store;
  readonly place: string;
  readonly manifest: Parameters<typeof applyMigration>[2];
  readonly plan: Plan;
  readonly kept: Steps | undefined;
}

async function apply(
  { output }: Context,
  { store, place, manifest, plan, kept }: Applied,
): Promise<void> {
  const options = {
    pylonVersion: SERVER_VERSION,
    onProgress: (name: string, filled: number) =>
      output.say(`${name}: ${counted(filled, "row")} filled in`),
  };
  if (kept === undefined) await applyMigration(store, plan, manifest, options);
  else await migrateToManifest(store, manifest, { ...options, dev: true });
  const steps = stepsOf(kept ?? plan);
  output.say(`Applied ${counted(steps.length, "step")} to ${place}.`);
  output.json({ code: "MIGRATE_OK", database: place, applied: steps.length, steps });
}

function stepsOf({ migration }: Steps): { readonly step: string; readonly destructive: boolean }[] {
  return migration.steps.map((step) => ({
    step: describeStep(step),
    destructive: "destructive" in step,
  }));
}

/** Prints the tables and columns whose names differ from app.ts, because of a renaming. */
function sayNames({ output }: Context, { names }: Plan): void {
  for (const [entity, { table, columns }] of Object.entries(names)) {
    if (table !== entity) output.say(`${entity} is in the table ${table}.`);
    for (const [field, column] of Object.entries(columns))
      output.say(`${entity}.${field} is in the column ${column}.`);
  }
}

function sayPlan(context: Context, place: string, plan: Plan): void {
  const { output } = context;
  sayDiagnostics([...plan.problems, ...plan.notices], output);
  sayNames(context, plan);
  const steps = stepsOf(plan);
  output.say(
    steps.length === 0
      ? `${place} is up to date with the app's schema.`
      : [
          `Steps for ${place}:`,
          ...steps.map(({ step, destructive }) => `  ${destructive ? "! " : "  "}${step}`),
        ].join("\n"),
  );
}

/**
 * Whether the plan can be applied and, if it has steps, the user agrees to them.
 *
 * @param kept as `keptSteps`
 * @throws CommandError MIGRATE_BLOCKED, MIGRATE_DESTRUCTIVE, and the errors of the question
 */
async function confirmPlan(
  context: Context,
  place: string,
  plan: Plan,
  kept?: Steps,
): Promise<boolean> {
  sayPlan(context, place, plan);
  if (plan.problems.length > 0)
    throw new CommandError("MIGRATE_BLOCKED", "The schema can't be applied: see above.");
  if (kept !== undefined)
    context.output.say(
      "Steps marked with ! lose data, and are left out. Add --allow-destructive to apply them too.",
    );
  else if (plan.destructive && !context.options["allow-destructive"]) {
    throw new CommandError(
      "MIGRATE_DESTRUCTIVE",
      "Steps marked with ! lose data: back up the database, then add --allow-destructive.",
    );
  }
  if (plan.migration.steps.length === 0 || (await isConfirmed(context, `Apply to ${place}?`)))
    return true;
  context.output.say("Aborted.");
  return false;
}

/** Prints the newest last, in reading order. */
function sayHistory({ output }: Context, { migrations, backfills }: MigrationHistory): void {
  for (const { at, took_ms: ms, app_version: app, pylon_version: pylon, steps } of [
    ...migrations,
  ].toReversed()) {
    output.say(`${at} by ${app} (Pylon ${pylon}) in ${ms} ms:`);
    for (const step of steps) output.say(`    ${step}`);
  }
  for (const { field, filled, done_at: doneAt } of backfills)
    output.say(
      `${field}: ${counted(filled, "row")} filled in${doneAt === null ? ", unfinished" : ""}`,
    );
}

/**
 * Errors in functions do not prevent the schema from being checked.
 *
 * @throws CommandError MIGRATE_INVALID_FILE
 */
function checkFiles({ output }: Context, { diagnostics }: LoadedApp): void {
  const ofFiles = diagnostics.filter(({ code }) => code.startsWith("MIGRATION_"));
  if (ofFiles.length === 0) return;
  sayDiagnostics(ofFiles, output);
  throw new CommandError("MIGRATE_INVALID_FILE", "A data migration is not valid: see above.");
}

/** The app's data migrations, and those that have run on the database. */
function dataOf(
  { dataMigrations }: LoadedApp,
  store: Store | null,
): Promise<readonly DataMigrationState[]> {
  return dataMigrationStates(dataMigrations?.keys() ?? [], store);
}

/** Prints the pending ones; in a history also the completed ones. */
function sayData({ output }: Context, all: readonly DataMigrationState[], isWhole: boolean): void {
  for (const { name, state, rows, done_at: doneAt } of all) {
    if (state === "done" && isWhole)
      output.say(`${name}: done at ${doneAt ?? ""}, ${counted(rows, "row")}`);
    if (state === "running") output.say(`${name}: ${counted(rows, "row")} so far, unfinished`);
    if (state === "pending") output.say(`${name}: runs when the next server starts`);
  }
}

function create(context: Context): number {
  const [name, ...others] = context.args;
  checkMigrationName(name);
  const { dir } = locateApp({ ...context, args: others }, "MIGRATE");
  const file = createMigration(dir, name, Date.now());
  context.output.say(`Created ${file}: write its code. It runs when the server starts.`);
  context.output.json({ code: "MIGRATE_CREATED", file });
  return EXIT.OK;
}

interface Shown {
  readonly plan: Plan;
  readonly data: readonly DataMigrationState[];
  readonly history?: MigrationHistory | undefined;
}

function show(context: Context, place: string, { plan, data, history }: Shown): number {
  const { problems, notices, destructive } = plan;
  const steps = stepsOf(plan);
  if (history !== undefined) sayHistory(context, history);
  sayData(context, data, history !== undefined);
  sayPlan(context, place, plan);
  context.output.json({
    code: "MIGRATE_PLAN",
    database: place,
    pending: steps.length,
    destructive,
    steps,
    problems,
    notices,
    data_migrations: data,
    ...history,
  });
  return problems.length > 0 ? EXIT.FAILED : EXIT.OK;
}

/**
 * `--plan` is `plan`; without an action it is `plan` too, because planning changes nothing.
 *
 * @throws CommandError USAGE for a mistyped action that is not the name of a folder
 */
function actionOf(context: Context): { readonly action: Action; readonly rest: Context } {
  const [first, ...others] = context.args;
  const action = ACTIONS.find((candidate) => candidate === first);
  const isFolder = first !== undefined && existsSync(first);
  if (first === "list" && !isFolder)
    return { action: "status", rest: { ...context, args: others } };
  const meant = first === undefined || isFolder ? undefined : nearest(first, ACTIONS);
  if (action === undefined && meant !== undefined)
    throw new CommandError(
      "USAGE",
      `Unknown action or folder "${first}". Did you mean "${meant}"?`,
      EXIT.USAGE,
    );
  if (action === undefined) return { action: "plan", rest: context };
  const isPlanOnly = context.options.plan === true && action !== "create";
  return { action: isPlanOnly ? "plan" : action, rest: { ...context, args: others } };
}
