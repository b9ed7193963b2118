import type { Manifest } from "@pylonsync/sdk";
import type { Diagnostic } from "../schema/diagnostic.ts";
import { describeStep, type MigrationPlan } from "../schema/diff.ts";
import { systemPlatform, type Platform } from "../platform.ts";
import { planStart } from "../schema/start-plan.ts";
import { parseStoredManifest } from "../schema/stored-manifest.ts";
import { PylonStartError } from "../start-error.ts";
import { fillRows, type FillOptions } from "./fill-rows.ts";
import { inspectData } from "./inspect-data.ts";
import type { Store } from "./store.ts";

/** How a database is migrated. */
export interface MigrateOptions extends FillOptions {
  /** The version of Pylon, for the history. */
  readonly pylonVersion: string;
}

/**
 * Applies what the schema adds.
 *
 * @returns a warning for what the database has and the app does not
 * @throws PylonStartError for a change that would lose data or can't be applied
 */
export async function migrateToManifest(
  store: Store,
  manifest: Manifest,
  options: MigrateOptions & { readonly dev: boolean },
): Promise<Diagnostic[]> {
  const warnings: Diagnostic[] = [];
  const facts = await inspectData(store, manifest);
  let isMended = false;
  await store.migrate((stored) => {
    const {
      migration,
      problems,
      notices,
      waiting,
      names,
      stored: next,
    } = planStart(parseStoredManifest(stored), manifest, facts, options);
    isMended = migration.steps.some(changesKnownValues);
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
  if (!store.findsTypos) warnings.push(...typosNotFound(manifest));
  // Replicas hold what was mended as it was: a new log has them take a snapshot.
  const isFilledAgain = await fillRows(store, manifest, options);
  if (isMended || isFilledAgain) await store.renewLog();
  return warnings;
}

/**
 * Takes all steps of a plan, those too that a start leaves alone.
 *
 * @param manifest what the plan leads to
 * @throws PylonStartError when rows do not fit; nothing has changed then, but for rows of new
 *   fields that have a value by then
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

/** Replicas of clients have rows that the step changes, and no change of them is in the log. */
function changesKnownValues({ kind }: MigrationPlan["migration"]["steps"][number]): boolean {
  return kind === "mend_dates" || kind === "convert_column" || kind === "retype_column";
}

/** A warning for each search that asks for what the database can't do. */
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
