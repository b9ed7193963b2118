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

/** `pylon resync`: makes all clients take a new snapshot. */
export const resync = defineCommand({
  name: "resync",
  args: ["[DIR]"],
  summary:
    "Make every client take a new snapshot: after the database was restored from a snapshot " +
    "or a dump, before it is served.",
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
        `Let all clients of ${place} take a new snapshot? No server may run on it.`,
      ))
    ) {
      context.output.say("Aborted.");
      return EXIT.OK;
    }
    await renewLogOf(database);
    context.output.say(`Done: each client of ${place} takes a new snapshot when it next connects.`);
    context.output.json({ code: "RESYNC_OK", database: place });
    return EXIT.OK;
  },
});
