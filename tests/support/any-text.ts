import { array, integer, type Arbitrary } from "fast-check";

const SURROGATES = { first: 0xd800, count: 0x800 };
const CODE_POINTS = 0x110000 - SURROGATES.count;

/**
 * Texts of any code points. `string({ unit: "binary" })` of fast-check makes the same ones, but
 * first spends half a second on a table of all characters.
 *
 * @param options.maxLength in code points
 */
export function anyText(options: { readonly maxLength?: number } = {}): Arbitrary<string> {
  return array(integer({ min: 0, max: CODE_POINTS - 1 }), options).map((numbers) =>
    numbers.map((number) => String.fromCodePoint(codePointOf(number))).join(""),
  );
}

function codePointOf(number: number): number {
  return number < SURROGATES.first ? number : number + SURROGATES.count;
}
