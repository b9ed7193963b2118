import type { EntityShape } from "@pylonsync/query";
import type { Manifest } from "@pylonsync/sdk";
import { Schema } from "../schema/schema.ts";
import { SYSTEM_TABLES } from "./system-tables.ts";

/**
 * The tables of a database by name: the entities of the stored manifest, and Pylon's own.
 *
 * @param manifestJson null for a new database
 */
export function tableShapes(manifestJson: string | null): Map<string, EntityShape> {
  const entities =
    manifestJson === null ? [] : Schema.fromManifest(JSON.parse(manifestJson) as Manifest).shapes;
  const shapes = new Map<string, EntityShape>(entities);
  for (const table of Object.values(SYSTEM_TABLES)) shapes.set(table.name, table);
  return shapes;
}
