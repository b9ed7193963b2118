import type { Json } from "@pylonsync/sdk";

/**
 * A value of a row: JSON-ready; a datetime is ISO 8601 UTC with milliseconds, and only a json or an
 * array is an object.
 */
export type Value = Json;

/** A row of a table: an entity of the app or a system table. An absent value is null. */
export type StoredRow = { readonly id: string } & { readonly [field: string]: Value };
