import { Maintenance } from "../maintenance.ts";
import type { ShardStorage } from "../shards/shard-storage.ts";
import type { AuthParts } from "./auth.ts";
import type { Base } from "./base.ts";
import type { FileParts } from "./routes.ts";

/** Creates the deletion of old data. */
export function maintenanceOf(
  { store, options, jobs, workflows }: Base,
  auth: AuthParts,
  { cleanup }: FileParts,
  shards: Pick<ShardStorage, "forgetOld">,
): Maintenance {
  const { config, log, platform } = options;
  return new Maintenance({
    store,
    auth,
    files: cleanup,
    jobs,
    workflows,
    shards,
    platform,
    changeLogMax: config.changeLogMax,
    onError: (error) => log.error("maintenance failed", error),
  });
}
