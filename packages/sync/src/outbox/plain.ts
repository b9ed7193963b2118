import { MAX_CHANGE_BYTES, MAX_JSON_DEPTH, type ClientChange } from "@pylonsync/protocol";
import { PylonClientError } from "../connection/errors.ts";

/**
 * The nesting levels that a push adds around the data of a change: the body, the list and the
 * change.
 */
const LEVELS_AROUND = 3;

/**
 * Copies a value as JSON represents it: dates become ISO strings, and undefined keys are omitted.
 * Later modifications of the value do not affect the copy.
 *
 * @param path the path of the value, for the error: `cents`, `address.lines[2]`
 * @param levels the maximum nesting depth
 * @throws PylonClientError `UNSENDABLE` with the field, if JSON can't represent it
 */
export function toPlain(value: unknown, path = "", levels = MAX_JSON_DEPTH): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (Number.isFinite(value)) return value;
  if (levels === 0) return refuse(path, "nested too deeply, or contains itself");
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  const isInvalid = typeof value !== "object" || (kind === "Date" && Number.isNaN(Number(value)));
  const { toJSON } = (value ?? {}) as { readonly toJSON?: unknown };
  if (typeof toJSON === "function" && !isInvalid)
    return toPlain(toJSON.call(value), path, levels - 1);
  if (Array.isArray(value))
    return Array.from(value, (item, index) => toPlain(item, `${path}[${index}]`, levels - 1));
  if (value === undefined) return refuse(path, "undefined. Omit it, or set it to null");
  if (kind !== "Object" || isInvalid)
    return refuse(
      path,
      kind === "Number" ? String(Number(value)) : `${/^[AEIO]/.test(kind) ? "an" : "a"} ${kind}`,
    );
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]: [string, unknown]) =>
      item === undefined
        ? []
        : [[key, toPlain(item, path === "" ? key : `${path}.${key}`, levels - 1)]],
    ),
  );
}

/**
 * Converts a write to the form in which it is sent.
 *
 * @throws PylonClientError `UNSENDABLE`, with the field
 */
export function toChange(
  { if_unchanged: condition, ...named }: Omit<ClientChange, "op_id" | "data">,
  fields: Readonly<Record<string, unknown>> | undefined,
): Omit<ClientChange, "op_id"> {
  const expected = condition === undefined ? {} : { if_unchanged: plainFields(condition) };
  const target = { ...named, ...expected };
  if (target.kind === "delete") return target;
  for (const [field, value] of Object.entries(fields ?? {}))
    if (value === undefined) toPlain(value, field);
  const change = { ...target, data: plainFields(fields) };
  if (utf8Length(JSON.stringify(change)) > MAX_CHANGE_BYTES)
    refuse("", `larger than ${MAX_CHANGE_BYTES / 1024 / 1024} MiB`);
  return change;
}

function plainFields(fields: unknown): Record<string, unknown> {
  return toPlain(fields, "", MAX_JSON_DEPTH - LEVELS_AROUND) as Record<string, unknown>;
}

/** The maximum length of a path in an error message; a circular value has an endless path. */
const MAX_SHOWN_PATH = 40;

function refuse(field: string, what: string): never {
  const shown = field.length > MAX_SHOWN_PATH ? `${field.slice(0, MAX_SHOWN_PATH)}...` : field;
  throw unsendable(
    `${field === "" ? "The value" : `"${shown}"`} can't be sent: it is ${what}.`,
    field,
  );
}

/** The error for a value that JSON can't represent. */
export function unsendable(message: string, field?: string): PylonClientError {
  return new PylonClientError(0, { code: "UNSENDABLE", message, field });
}

/** The UTF-8 length of a text in bytes. Not every platform has a TextEncoder. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    // A surrogate pair is four bytes.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
