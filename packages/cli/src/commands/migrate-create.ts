import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError, EXIT } from "../output.ts";

const NAME = /^[a-z][a-z0-9]*([_-][a-z0-9]+)*$/i;
const MAX_NAME = 60;

/** @throws CommandError USAGE for a name that is not valid for a file */
export function checkMigrationName(name: string | undefined): asserts name is string {
  if (name !== undefined && NAME.test(name) && name.length <= MAX_NAME) return;
  const wrong =
    name === undefined
      ? "A data migration needs a name"
      : `"${name}" is not a valid name for a ` + `data migration`;
  throw new CommandError(
    "USAGE",
    `${wrong}: write \`pylon migrate create fill_states\`, with at most ${MAX_NAME} letters, ` +
      "digits, _ and -.",
    EXIT.USAGE,
  );
}

/**
 * Writes an empty data migration into the app's folder `migrations/`. Its name begins with the
 * time, which determines the order in which they run.
 *
 * @param name valid according to `checkMigrationName`
 * @param now milliseconds since 1970
 * @returns the file, relative to the app's folder
 * @throws CommandError MIGRATE_EXISTS
 */
export function createMigration(dir: string, name: string, now: number): string {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]/g, "").replace("T", "_").slice(0, 15);
  const file = `migrations/${stamp}_${name.toLowerCase().replaceAll("-", "_")}.ts`;
  const path = join(dir, file);
  if (existsSync(path))
    throw new CommandError("MIGRATE_EXISTS", `${file} already exists: choose another name.`);
  mkdirSync(join(dir, "migrations"), { recursive: true });
  writeFileSync(path, TEMPLATE);
  return file;
}

const TEMPLATE = `import { dataMigration } from "@pylonsync/sdk";

// Runs once in each database, when a server of this version starts, before it is served. To go
// through the rows of an entity, some at a time, export { entity, each } in place of { run }:
//
//   export default dataMigration({
//     entity: "Task",
//     each: async (ctx, task) => {
//       await ctx.db.update("Task", task.id, { state: "open" });
//     },
//   });
export default dataMigration({
  run: () => {
    throw new Error("This data migration is empty: write its code, or delete the file.");
  },
});
`;
