import { resolve } from "node:path";
import { describeDatabase, loadConfig } from "@pylonsync/server";
import { checkDatabase } from "../backup/app-data.ts";
import { renewLogOf } from "../backup/renew-log.ts";
import { takeDatabase } from "../backup/take-database.ts";
import { defineCommand } from "../command.ts";
import { isConfirmed, YES } from "../confirm.ts";
import { resolvePaths } from "../data-place.ts";
import { withEnvFiles } from "../env-files.ts";
import { EXIT } from "../output.ts";

/** `pylon resync`: makes all clients load a new snapshot. */
export const resync = defineCommand({
  name: "resync",
  args: ["[DIR]"],
  summary:
    "Make every client load a new snapshot. Use it after restoring the database from a snapshot " +
    "or dump, before starting the server.",
  options: { ...YES },
  async run(context) {
    const dir = resolve(context.args[0] ?? ".");
    const { env } = withEnvFiles(dir, context.env);
    const { database } = loadConfig(
      { ...env, PYLON_DEV_MODE: "1" },
      resolvePaths(dir, env, { files: false, whenNone: "served" }),
    );
    if (database.kind === "sqlite") checkDatabase(database.path);
    using _lock =
      database.kind === "sqlite" ? await takeDatabase(database.path, "RESYNC_IN_USE") : null;
    const place = describeDatabase(database);
    if (
      !(await isConfirmed(
        context,
        `Make all clients of ${place} load a new snapshot? No server may be running on it.`,
      ))
    ) {
      context.output.say("Aborted.");
      return EXIT.OK;
    }
    await renewLogOf(database);
    context.output.say(`Done: each client of ${place} loads a new snapshot when it next connects.`);
    context.output.json({ code: "RESYNC_OK", database: place });
    return EXIT.OK;
  },
});
