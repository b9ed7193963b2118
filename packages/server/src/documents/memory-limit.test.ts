import { expect, test } from "bun:test";
import { withMaximum } from "./memory-limit.ts";

/** A module with a type, a function `grow` of the memory, and one page of memory. */
const MODULE = Uint8Array.fromHex(
  "0061736d01000000" + // header
    "0106016001" +
    "7f017f" + // (i32) -> i32
    "03020100" + // one function
    "0503010001" + // memory of one page, without a maximum
    "070801" +
    "0467726f770000" + // exported as grow
    "0a08010600" +
    "200040000b", // memory.grow(first argument)
);

function growOf(module: Uint8Array<ArrayBuffer>): (pages: number) => number {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module));
  return exports["grow"] as (pages: number) => number;
}

test("a module can't use more memory than its maximum, and runs otherwise as before", () => {
  expect(growOf(MODULE)(300)).toBe(1);
  const grow = growOf(withMaximum(MODULE, 200 * 64 * 1024 + 1));
  expect(grow(199)).toBe(1);
  expect(grow(1)).toBe(-1);
  expect(grow(0)).toBe(200);
});

test("a module without memory is rejected", () => {
  expect(() => withMaximum(MODULE.subarray(0, 8), 1)).toThrow("has no memory");
});
