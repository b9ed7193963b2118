import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Environment } from "./env-files.ts";
import { CommandError } from "./output.ts";

/** Where an app's data is: as variables, for those that are not set. */
export type DataDefaults = Readonly<Partial<Record<"PYLON_DB_PATH" | "PYLON_FILES_DIR", string>>>;

interface Place {
  readonly database: string;
  readonly uploads: string;
}

/** Where `pylon start` keeps its data. */
function servedIn(dir: string): Place {
  return { database: join(dir, "pylon.db"), uploads: join(dir, "uploads") };
}

/** Where `pylon dev` keeps its data, separate from production's. */
function developedIn(dir: string): Place {
  return { database: join(dir, ".pylon", "dev.db"), uploads: join(dir, ".pylon", "uploads") };
}

/** For `pylon start`. @param dir the folder of the app */
export function productionPaths(dir: string, env: Environment): DataDefaults {
  return dataAt(servedIn(dir), dir, env);
}

/** For `pylon dev`. @param dir the folder of the app */
export function devPaths(dir: string, env: Environment): DataDefaults {
  return dataAt(developedIn(dir), dir, env);
}

interface Search {
  /** Whether the folder of uploaded files is needed too. */
  readonly files: boolean;
  /** The place to use if neither `start` nor `dev` has run. */
  readonly whenNone: "served" | "developed";
}

/**
 * For a command on data that a server created: the place that the variables name, otherwise the
 * existing data.
 *
 * @param dir the folder of the app
 * @throws CommandError DATA_AMBIGUOUS if both `start` and `dev` have run here, and no variable
 *   decides which is meant
 */
export function resolvePaths(
  dir: string,
  env: Environment,
  { files, whenNone }: Search,
): DataDefaults {
  const [served, developed] = [servedIn(dir), developedIn(dir)];
  // For rows in Postgres no file tells which files belong to them.
  if (named(env, "DATABASE_URL") !== undefined) return dataAt(served, dir, env);
  const path = named(env, "PYLON_DB_PATH");
  if (path === undefined) {
    const found = onlyOneOf("PYLON_DB_PATH", "databases", served.database, developed.database);
    const isDeveloped =
      found === undefined ? whenNone === "developed" : found === developed.database;
    return dataAt(isDeveloped ? developed : served, dir, env);
  }
  const isConfigured =
    named(env, "PYLON_FILES_DIR") !== undefined || ownerOf(path, dir) !== undefined;
  if (!files || isConfigured) return dataAt(served, dir, env);
  // Either command may have kept files beside a custom database.
  const uploads = onlyOneOf(
    "PYLON_FILES_DIR",
    "folders of uploaded files",
    served.uploads,
    developed.uploads,
  );
  return dataAt(uploads === developed.uploads ? developed : served, dir, env);
}

function dataAt(place: Place, dir: string, env: Environment): DataDefaults {
  // A database that is deleted at the end takes its files with it.
  if (/^(1|true)$/i.test(env["PYLON_IN_MEMORY"] ?? "")) return {};
  const path = named(env, "PYLON_DB_PATH");
  const owner = path === undefined ? undefined : ownerOf(path, dir);
  return { PYLON_DB_PATH: place.database, PYLON_FILES_DIR: (owner ?? place).uploads };
}

/** The place to which the database belongs; uploads belong to the database that refers to them. */
function ownerOf(path: string, dir: string): Place | undefined {
  return [servedIn(dir), developedIn(dir)].find(({ database }) => database === resolve(path));
}

/** @throws CommandError DATA_AMBIGUOUS */
function onlyOneOf(
  variable: string,
  what: string,
  served: string,
  developed: string,
): string | undefined {
  if (!existsSync(served)) return existsSync(developed) ? developed : undefined;
  if (!existsSync(developed)) return served;
  const hint =
    variable === "PYLON_DB_PATH"
      ? " Its uploaded files are used with it, unless PYLON_FILES_DIR is set."
      : "";
  throw new CommandError(
    "DATA_AMBIGUOUS",
    `There are two ${what}: ${served}, which \`pylon start\` serves, and ${developed}, ` +
      `which \`pylon dev\` serves. Choose one: ${variable}=${served} or ` +
      `${variable}=${developed}.${hint}`,
  );
}

function named(env: Environment, variable: string): string | undefined {
  const value = env[variable];
  return value === "" ? undefined : value;
}
