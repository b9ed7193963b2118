/**
 * The code for persistence: one module, so that it is loaded with one request, in parallel with the
 * first request to the server.
 */
import type { EngineParts } from "../engine/engine-parts.ts";
import type { Platform } from "../platform/platform.ts";
import { Persistence } from "./persistence.ts";

export { openIndexedDb } from "./indexed-db.ts";

/** Creates the persistence of an engine, which opens its disk later. */
export function persistenceOf(
  parts: EngineParts,
  openDisk: NonNullable<Platform["openDisk"]>,
): Persistence {
  const { config, http, replica, live } = parts;
  return new Persistence({
    ...parts,
    open: () => openDisk(config.appName ?? "default", http.baseUrl),
    epoch: () => replica.epoch,
    queries: () => live?.kept,
    onReplica: (kept, schema) => {
      if (!replica.restore(kept, schema)) return false;
      live?.use((queries) => queries.restore(kept.head.queries ?? []));
      return true;
    },
  });
}
