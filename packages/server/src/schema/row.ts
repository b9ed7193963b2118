/** A value as rows hold it: JSON-ready; a datetime is ISO 8601 UTC with milliseconds. */
export type Value = string | number | boolean | null;

/** A row of a table: an entity of the app or a system table. An absent value is null. */
export type StoredRow = { readonly id: string } & { readonly [field: string]: Value };
