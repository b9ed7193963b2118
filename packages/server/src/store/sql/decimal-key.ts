import { MAX_DECIMAL_SCALE, MAX_DECIMAL_WHOLE, normaliseDecimal } from "@pylonsync/query";

/**
 * Decimals in SQLite, whose only exact numbers are 64-bit integers: a text that sorts like the
 * number, so that indexes, comparisons, `min` and `max` work unchanged. It is the decimal plus
 * 10^18, which is never negative, with 19 digits before the point; the point and trailing zeros are
 * omitted. Sums are computed from its parts of nine digits.
 */
const WHOLE = MAX_DECIMAL_WHOLE + 1;
const DIGITS = WHOLE + MAX_DECIMAL_SCALE;
const BIAS = 10n ** BigInt(MAX_DECIMAL_WHOLE + MAX_DECIMAL_SCALE);
/** The bias in parts of nine digits; the first part has ten. */
const PART_BIAS = "1000000000";

/**
 * @param decimal in normal form
 * @example decimalKey("-0.5"); // "09999999999999999995"
 */
export function decimalKey(decimal: string): string {
  const [whole = "", fraction = ""] = decimal.split(".");
  const key = BIAS + BigInt(whole + fraction.padEnd(MAX_DECIMAL_SCALE, "0"));
  const digits = String(key).padStart(DIGITS, "0");
  return digits.slice(0, WHOLE) + digits.slice(WHOLE).replace(/0+$/, "");
}

/** The decimal of a key; undefined for a sum that is out of range. */
export function decimalOfKey(key: string): string | undefined {
  if (key === ABOVE || key === BELOW) return undefined;
  const scaled = BigInt(key.padEnd(DIGITS, "0")) - BIAS;
  const digits = String(scaled < 0n ? -scaled : scaled).padStart(DIGITS, "0");
  const sign = scaled < 0n ? "-" : "";
  const point = digits.length - MAX_DECIMAL_SCALE;
  return normaliseDecimal(`${sign}${digits.slice(0, point)}.${digits.slice(point)}`);
}

/**
 * The keys of sums with more than 18 digits before the point: they sort after and before all
 * others.
 */
const [ABOVE, BELOW] = ["~", "-"];

/** The sum of a column of keys, as a key, in SQL. Each part is summed with its carry. */
export function keySum(column: string): string {
  const { whole, low, first, second } = partSums(column);
  const fraction = `printf('%09d%09d', ${first}, ${second})`;
  return (
    `CASE WHEN count(${column}) = 0 THEN NULL ` +
    `WHEN ${whole} >= 2 * ${PART_BIAS} THEN '${ABOVE}' WHEN ${whole} < 0 THEN '${BELOW}' ` +
    `ELSE printf('%010d%09d', ${whole}, ${low}) || rtrim(${fraction}, '0') END`
  );
}

/** The mean of a column of keys as a float, in SQL. */
export function keyMean(column: string): string {
  const { whole, low, first, second } = partSums(column);
  const fraction = `(${first} / 1e9 + ${second} / 1e18)`;
  return `(((${whole} - ${PART_BIAS}) * 1e9 + ${low} + ${fraction}) / count(${column}))`;
}

/**
 * The parts of a sum. The first contains the bias once, regardless of the number of values; each
 * other part has nine digits, and its carry is added to the part before it.
 */
function partSums(column: string): Readonly<Record<"whole" | "low" | "first" | "second", string>> {
  const part = (start: number, length: number): string =>
    `sum(CAST(substr(${column} || '000000000000000000', ${start}, ${length}) AS INTEGER))`;
  const second = part(29, 9);
  const first = `(${part(20, 9)} + ${second} / ${PART_BIAS})`;
  const low = `(${part(11, 9)} + ${first} / ${PART_BIAS})`;
  const bias = `(count(${column}) - 1) * ${PART_BIAS}`;
  return {
    whole: `(${part(1, 10)} + ${low} / ${PART_BIAS} - ${bias})`,
    low: `(${low} % ${PART_BIAS})`,
    first: `(${first} % ${PART_BIAS})`,
    second: `(${second} % ${PART_BIAS})`,
  };
}
