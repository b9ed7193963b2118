import { join, resolve } from "node:path";
import { describeDatabase, loadConfig, ServerLock } from "@pylonsync/server";
import { renewLogOf } from "../backup/renew-log.ts";
import { defineCommand } from "../command.ts";
import { isConfirmed, YES } from "../confirm.ts";
import { withEnvFiles } from "../env-files.ts";
import { CommandError, EXIT } from "../output.ts";

export const resync = defineCommand({
  name: "resync",
  args: ["[DIR]"],
  summary: "Let every client take a new snapshot: after the database was restored from a snapshot or a dump, before it is served.",
  options: { ...YES },
  async run(context) {
    const dir = resolve(context.args[0] ?? ".");
    const { env } = withEnvFiles(dir, context.env);
    const { database } = loadConfig({ ...env, PYLON_DEV_MODE: "1" }, { PYLON_DB_PATH: join(dir, ".pylon", "dev.db") });
    using lock = database.kind === "sqlite" ? await ServerLock.take(database.path, 0, () => undefined) : null;
    if (database.kind === "sqlite" && lock === null) throw new CommandError("RESYNC_IN_USE", `A server has ${database.path}: stop it first.`);
    if (!(await isConfirmed(context, `Let all clients of ${describeDatabase(database)} begin anew? No server may run on it.`))) {
      context.output.say("Aborted.");
      return EXIT.OK;
    }
    await renewLogOf(database);
    context.output.say("Done: each client takes a new snapshot when it next connects.");
    context.output.json({ code: "RESYNC_OK" });
    return EXIT.OK;
  },
});
