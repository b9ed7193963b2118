import type { DatabaseConfig } from "./config/config.ts";
import { openStore as openBareStore, type OpenOptions } from "./store/open-store.ts";
import type { Store } from "./store/store.ts";

/**
 * Opens the configured database, with the tables of all features.
 *
 * @throws PylonStartError with the reason when it can't be used
 */
export function openStore(
  database: DatabaseConfig,
  options: Omit<OpenOptions, "loadPostgresDdl">,
): Promise<Store> {
  const loadPostgresDdl = async (): Promise<readonly string[]> => {
    const { ROOM_DDL } = await import("./rooms/postgres/functions.ts");
    return ROOM_DDL;
  };
  return openBareStore(database, { ...options, loadPostgresDdl });
}
