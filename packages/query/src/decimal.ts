/** The maximum number of digits of a decimal before its point. */
export const MAX_DECIMAL_WHOLE = 18;
/** The maximum number of digits of a decimal after its point. */
export const MAX_DECIMAL_SCALE = 18;

const DECIMAL = /^(-?)0*(\d{1,18})(?:\.(\d{1,18}?)0*)?$/;

/**
 * Returns the normal form of a decimal: without redundant zeros, so that equal numbers are equal
 * texts.
 *
 * @param value a text such as `"-12.50"`, or a number that JavaScript represents exactly as it is
 *   written
 * @returns undefined if it is not a decimal of at most 18 digits on each side of the point
 *
 * @example normaliseDecimal("012.50"); // "12.5"
 */
export function normaliseDecimal(value: unknown): string | undefined {
  const text = typeof value === "number" ? writtenNumber(value) : value;
  if (typeof text !== "string" || text.length > MAX_TEXT) return undefined;
  const parts = DECIMAL.exec(text);
  if (parts === null) return undefined;
  const [, sign = "", whole = "", fraction = ""] = parts;
  return decimalOf(sign, whole, fraction);
}

/** The maximum length of the text of a decimal, including leading and trailing zeros. */
const MAX_TEXT = 64;

/** Beyond 2^53 the written digits are not those of the number. */
function writtenNumber(value: number): string | undefined {
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? String(value) : undefined;
}

function decimalOf(sign: string, whole: string, fraction: string): string {
  const digits = fraction.replace(/0+$/, "");
  const magnitude = digits === "" ? whole : `${whole}.${digits}`;
  return magnitude === "0" ? magnitude : `${sign}${magnitude}`;
}

/** The exact sum of two decimals in their one form; it may have more digits than a field holds. */
export function addDecimals(a: string, b: string): string {
  const sum = scaled(a) + scaled(b);
  const digits = String(sum < 0n ? -sum : sum).padStart(MAX_DECIMAL_SCALE + 1, "0");
  const point = digits.length - MAX_DECIMAL_SCALE;
  return decimalOf(sum < 0n ? "-" : "", digits.slice(0, point), digits.slice(point));
}

function scaled(decimal: string): bigint {
  const [whole = "", fraction = ""] = decimal.split(".");
  return BigInt(whole + fraction.padEnd(MAX_DECIMAL_SCALE, "0"));
}
