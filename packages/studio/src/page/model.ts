import type { Manifest } from "@pylonsync/sdk";

/** The app's declaration, as `GET /api/manifest` returns it. */
export type App = Manifest;
/** An entity of the app. */
export type Entity = Manifest["entities"][number];
/** A field of an entity. */
export type Field = Entity["fields"][number];
/** Values by the names of fields. */
export type Fields = Readonly<Record<string, unknown>>;

/** The field of every row that the server sets. */
export const ID_FIELD: Field = { name: "id", type: "string", optional: false, unique: true };

/** Returns the entity whose rows the field refers to; null for a field that is not a reference. */
export function targetOf({ type }: Field): string | null {
  return /^id\((\w+)\)$/.exec(type)?.[1] ?? null;
}

/**
 * Whether a text is the id of a row, a user or an organization that the server created: it is
 * shortened like an id, also in a field that declares no reference.
 */
export function isGeneratedId({ name, type }: Field, value: unknown): value is string {
  return (
    type === "string" &&
    /(Id|_id)$/.test(name) &&
    typeof value === "string" &&
    /^[0-9a-f]{40}$/.test(value)
  );
}

/** Returns a row's own value of a field: every object inherits one named `constructor`. */
export function valueIn(row: Fields | null, name: string): unknown {
  return row !== null && Object.hasOwn(row, name) ? row[name] : null;
}
