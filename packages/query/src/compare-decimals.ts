/**
 * Orders two decimals in their one form by size.
 *
 * @returns negative, 0 or positive
 */
export function compareDecimals(a: string, b: string): number {
  const [isNegative, isOtherNegative] = [a.startsWith("-"), b.startsWith("-")];
  if (isNegative !== isOtherNegative) return isNegative ? -1 : 1;
  return isNegative ? compareMagnitudes(b.slice(1), a.slice(1)) : compareMagnitudes(a, b);
}

function compareMagnitudes(a: string, b: string): number {
  const [whole = "", fraction = ""] = a.split(".");
  const [otherWhole = "", otherFraction = ""] = b.split(".");
  return (
    whole.length - otherWhole.length ||
    compareDigits(whole, otherWhole) ||
    compareDigits(fraction, otherFraction)
  );
}

function compareDigits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
