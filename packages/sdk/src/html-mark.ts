import { isObject } from "./mistake.ts";

/** Marks HTML. A global symbol, so that other copies of the packages recognize it too. */
export const HTML = Symbol.for("pylon.html");

/**
 * Whether a value is HTML that was made with `html` of `@pylonsync/functions`, of any copy of it.
 *
 * @example
 * const textOf = (value: unknown): string => (isHtml(value) ? String(value) : "");
 */
export function isHtml(value: unknown): boolean {
  return isObject(value) && HTML in value;
}
