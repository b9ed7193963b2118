import type { EntityShape } from "@pylonsync/query";
import { Schema } from "../schema/schema.ts";
import { parseStoredManifest } from "../schema/stored-manifest.ts";
import { SYSTEM_TABLES } from "./system-tables.ts";

/**
 * The tables of a database by name: the entities of the stored manifest, and the system tables.
 *
 * @param manifestJson null for a new database
 */
export function tableShapes(manifestJson: string | null): Map<string, EntityShape> {
  const stored = parseStoredManifest(manifestJson);
  const shapes = new Map<string, EntityShape>(
    stored === null ? [] : Schema.fromManifest(stored).shapes,
  );
  for (const table of Object.values(SYSTEM_TABLES)) shapes.set(table.name, table);
  return shapes;
}
