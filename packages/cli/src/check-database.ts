import { existsSync } from "node:fs";
import {
  describeDatabase,
  inspectData,
  openStore,
  planStart,
  type Config,
  type Diagnostic,
} from "@pylonsync/server";
import type { Manifest } from "@pylonsync/sdk";
import { manifestOf } from "./backup/app-data.ts";

/**
 * Finds existing rows that would prevent a server from starting. It changes nothing, and creates no
 * database.
 *
 * @returns the problems; a warning if the database can't be reached
 */
export async function checkDatabase(
  database: Config["database"],
  manifest: Manifest,
): Promise<Diagnostic[]> {
  if (database.kind === "sqlite" && !existsSync(database.path)) return [];
  try {
    await using disposer = new AsyncDisposableStack();
    const store = disposer.adopt(
      await openStore(database, { startTimeoutMs: 0, onState: () => undefined }),
      (opened) => opened.close(),
    );
    const stored = await store.storedManifest();
    const facts = await inspectData(store, manifest);
    const known = stored === null ? null : manifestOf(stored);
    return [...planStart(known, manifest, facts, { dev: true }).problems];
  } catch (error) {
    return [
      {
        severity: "warning",
        code: "SCHEMA_NOT_COMPARED",
        message:
          `The schema was not compared with ${describeDatabase(database)}: ` +
          `${error instanceof Error ? error.message : String(error)}`,
      },
    ];
  }
}
