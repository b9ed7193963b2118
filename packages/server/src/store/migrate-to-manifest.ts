import type { Manifest } from "@pylonsync/sdk";
import type { Diagnostic } from "../schema/diagnostic.ts";
import { describeStep } from "../schema/describe-step.ts";
import type { MigrationPlan } from "../schema/diff.ts";
import { systemPlatform, type Platform } from "../platform.ts";
import { planStart } from "../schema/start-plan.ts";
import { parseStoredManifest } from "../schema/stored-manifest.ts";
import { PylonStartError } from "../start-error.ts";
import { hasUnfinishedCopy } from "./copy-rows.ts";
import { fillRows, type FillOptions } from "./fill-rows.ts";
import { inspectData } from "./inspect-data.ts";
import type { Store } from "./store.ts";

/** Options of a migration. */
export interface MigrateOptions extends FillOptions {
  /** The version of Pylon, for the history. */
  readonly pylonVersion: string;
}

/**
 * Applies the additions of the schema.
 *
 * @returns warnings, such as one for each leftover that the app does not declare
 * @throws PylonStartError for a change that would lose data or can't be applied, and for a database
 *   to which a copy was not finished
 */
export async function migrateToManifest(
  store: Store,
  manifest: Manifest,
  {
    platform = systemPlatform,
    ...options
  }: Omit<MigrateOptions, "platform"> & {
    readonly platform?: Platform;
    /** Types are converted, because no other version is served on the database. */
    readonly dev: boolean;
  },
): Promise<Diagnostic[]> {
  const warnings: Diagnostic[] = [];
  const facts = await inspectData(store, manifest);
  let haveValuesChanged = false;
  await store.migrate((stored) => {
    const {
      migration,
      problems,
      notices,
      waiting,
      names,
      stored: next,
    } = planStart(parseStoredManifest(stored), manifest, facts, options);
    haveValuesChanged = migration.steps.some(changesKnownValues);
    const [problem] = problems;
    if (problem !== undefined)
      throw new PylonStartError(
        `${problem.message}${problem.hint === undefined ? "" : ` ${problem.hint}`}`,
      );
    warnings.splice(
      0,
      warnings.length,
      ...notices,
      ...waiting.map((step) => leftoverWarning(describeStep(step))),
    );
    return {
      migration,
      names,
      manifestJson: JSON.stringify(next),
      by: { app: manifest.version, pylon: options.pylonVersion },
    };
  });
  if (await hasUnfinishedCopy(store))
    throw new PylonStartError(
      "A copy to this database was not finished. Wait until it is, or create the database again " +
        "and repeat `pylon copy-to-postgres`.",
    );
  if (!store.findsTypos) warnings.push(...typosNotFound(manifest));
  // Clients have replicated earlier values of changed rows: a new log makes them load a snapshot.
  const isFilledAgain = await fillRows(store, manifest, { ...options, platform });
  if (haveValuesChanged || isFilledAgain) await store.renewLog();
  return warnings;
}

/**
 * Executes all steps of a plan, including those that a start defers.
 *
 * @param manifest the manifest that results from the plan
 * @throws PylonStartError if rows do not fit; then nothing is changed, except that rows of new
 *   fields may already have values
 */
export async function applyMigration(
  store: Store,
  plan: MigrationPlan,
  manifest: Manifest,
  {
    platform = systemPlatform,
    ...options
  }: Omit<MigrateOptions, "platform"> & {
    readonly platform?: Platform;
  },
): Promise<void> {
  await store.migrate(() => ({
    migration: plan.migration,
    names: plan.names,
    manifestJson: JSON.stringify({ ...manifest, ...plan.stored }),
    by: { app: manifest.version, pylon: options.pylonVersion },
  }));
  const isFilledAgain = await fillRows(store, manifest, { ...options, platform });
  if (isFilledAgain || plan.migration.steps.some(changesKnownValues)) await store.renewLog();
}

/** Whether the step changes rows that clients have replicated, without changes in the log. */
function changesKnownValues({ kind }: MigrationPlan["migration"]["steps"][number]): boolean {
  return kind === "repair_dates" || kind === "convert_column" || kind === "retype_column";
}

/** A warning for each search with an option that the database does not support. */
function typosNotFound({ entities }: Manifest): Diagnostic[] {
  return entities
    .filter(({ search }) => search?.typos === true)
    .map(({ name }) => ({
      severity: "warning",
      code: "SEARCH_TYPOS_UNAVAILABLE",
      message:
        `The search of ${name} does not tolerate typos: ` +
        "the database does not have the extension pg_trgm.",
      hint: "Run CREATE EXTENSION pg_trgm in it as its owner, and start again.",
    }));
}

function leftoverWarning(step: string): Diagnostic {
  return {
    severity: "warning",
    code: "SCHEMA_LEFTOVER",
    message: `The database keeps data that the app no longer declares. Left to you: ${step}.`,
    hint:
      "When no version of the app needs it any longer, run " +
      "`pylon migrate apply --allow-destructive`.",
  };
}
