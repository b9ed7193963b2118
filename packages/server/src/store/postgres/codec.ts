import { normaliseDecimal } from "@pylonsync/query";
import { types } from "pg";
import type { Value } from "../store.ts";
import type { ColumnRow } from "./connection.ts";

const INT8 = 20;
const TIMESTAMPTZ = 1184;
const NUMERIC = 1700;

/**
 * The parsers of values: int8 as a number (the schema limits ints to those that JavaScript can
 * represent), timestamptz as ISO 8601 with milliseconds and Z, numeric as a decimal in normal form.
 */
export const VALUE_PARSERS: { getTypeParser: typeof types.getTypeParser } = {
  getTypeParser: ((oid: number, format?: "text") => {
    if (oid === INT8) return Number;
    if (oid === TIMESTAMPTZ) return toIso;
    if (oid === NUMERIC) return toDecimal;
    return types.getTypeParser(oid, format);
  }) as typeof types.getTypeParser,
};

/**
 * Converts `12.50` to `12.5`. A sum may have more digits than a field can store, and is rejected
 * later.
 */
function toDecimal(text: string): string {
  return normaliseDecimal(text) ?? text;
}

/** Encodes a value for the driver, which would convert a list to a Postgres array. */
export function encode(value: Value): Value {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

const UTC = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?\+00$/;
const OTHER_ZONE = /^(\S+) (\S+?)([+-]\d{2})(?::?(\d{2}))?$/;

/** Converts `2026-01-31 12:00:00.5+00` to `2026-01-31T12:00:00.500Z`. */
function toIso(text: string): string {
  const parts = UTC.exec(text);
  if (parts !== null) {
    const [, day = "", time = "", fraction = ""] = parts;
    return `${day}T${time}.${fraction.padEnd(3, "0").slice(0, 3)}Z`;
  }
  // The session has another time zone, which a pooler between Pylon and the database may set.
  const [, day = "", time = "", hours = "+00", minutes = "00"] = OTHER_ZONE.exec(text) ?? [];
  return new Date(`${day}T${time}${hours}:${minutes}`).toISOString();
}

/**
 * Returns the first row.
 *
 * @throws Error if there is none
 */
export function firstOf<T extends ColumnRow>(rows: readonly T[]): T {
  const [first] = rows;
  if (first === undefined) throw new Error("The database returned no row.");
  return first;
}
