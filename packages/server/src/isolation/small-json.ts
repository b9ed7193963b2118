/**
 * Whether JSON preserves a value, and the value is small: of at most `maxSize` values and
 * characters. The size also bounds the check itself, so that a cycle ends it. An object that the
 * value contains twice arrives as two equal ones.
 *
 * @throws what a getter of the value throws
 */
export function isSmallJson(value: unknown, maxSize: number): boolean {
  return sizeLeft(value, maxSize) >= 0;
}

/** @returns what is left of the size after this value; negative if it is too large or not JSON */
function sizeLeft(value: unknown, left: number): number {
  switch (typeof value) {
    case "string":
      return left - 1 - value.length;
    case "boolean":
      return left - 1;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? left - 1 : -1;
    case "object":
      return value === null ? left - 1 : sizeLeftOfObject(value, left - 1);
    default:
      return -1;
  }
}

function sizeLeftOfObject(value: object, size: number): number {
  let left = size;
  if (Array.isArray(value)) {
    for (let index = 0; left >= 0 && index < value.length; index += 1)
      left = sizeLeft(value[index], left);
    return left;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return -1;
  // `for in` is twice as fast as iterating over a list of the keys. Inherited properties are not
  // sent.
  for (const key in value) {
    if (left < 0) return left;
    if (Object.hasOwn(value, key)) left = sizeLeft(Reflect.get(value, key), left - key.length);
  }
  return left;
}
