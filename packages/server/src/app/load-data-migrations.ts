import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { isDataMigration, type DataMigration } from "@pylonsync/sdk";
import type { DataMigrations } from "../data/data-migrations.ts";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { failedImport, isCodeFile } from "./code-file.ts";
import { importAppFile } from "./import-app.ts";

const FOLDER = "migrations";
/** Names are keys in the database. `pylon migrate create` generates valid ones. */
const NAME = /^[A-Za-z0-9][\w-]{0,119}$/;

/** Loads the data migrations at the top level of the folder, keyed by file name. */
export async function loadDataMigrations(
  root: string,
  diagnostics: Diagnostic[],
): Promise<DataMigrations> {
  const migrations = new Map<string, DataMigration>();
  const dir = join(root, FOLDER);
  if (!existsSync(dir)) return migrations;
  for (const file of readdirSync(dir).filter(isCodeFile).toSorted()) {
    const shown = relative(root, join(dir, file));
    const name = file.replace(/\.[jt]s$/, "");
    try {
      const { exports } = await importAppFile(join(dir, file), root);
      const definition = exports["default"];
      if (!isDataMigration(definition)) diagnostics.push(noExport(shown));
      else if (!NAME.test(name)) diagnostics.push(wrongName(shown));
      else migrations.set(name, definition);
    } catch (error) {
      diagnostics.push(failedImport("MIGRATION_FAILED", join(dir, file), root, error));
    }
  }
  return migrations;
}

function noExport(file: string): Diagnostic {
  return errorAt(
    "MIGRATION_NO_EXPORT",
    `${file} exports no data migration.`,
    file,
    "End it with `export default dataMigration({ entity, each })`; start the name of a helper " +
      "with _.",
  );
}

function wrongName(file: string): Diagnostic {
  return errorAt(
    "MIGRATION_NAME_INVALID",
    `${file} is not a valid name for a data migration.`,
    file,
    "Use at most 120 letters, digits, _ and -, starting with a letter or a digit.",
  );
}
