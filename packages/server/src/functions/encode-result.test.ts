import { expect, test } from "bun:test";
import { MAX_RESULT_DEPTH } from "@pylonsync/protocol";
import fc from "fast-check";
import { encodeResult, UnencodableResultError } from "./encode-result.ts";

class Money {
  readonly #cents: number;
  constructor(cents: number) {
    this.#cents = cents;
  }
  toJSON(): unknown {
    return { cents: this.#cents };
  }
}
class Point {
  readonly x = 1;
  readonly y = [2];
}

/** What JSON keeps: also what it writes in another form, as it says. */
const { kept } = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.date({ noInvalidDate: true }),
    fc.nat().map((cents) => new Money(cents)),
    fc.constant(undefined),
    fc.constant(-0),
    fc.constantFrom(new Point(), new String("a"), new Number(1), new URL("https://a.test/b")),
  ),
  kept: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    tie("leaf"),
    fc.array(tie("kept"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("toJSON", "__proto__", "a")), tie("kept"), {
      maxKeys: 3,
    }),
  ),
}));

/** A value that JSON would lose, and the words for it. */
const lost = fc.constantFrom<readonly [value: unknown, reason: string]>(
  [Number.NaN, "is NaN"],
  [-Infinity, "is -Infinity"],
  [1n, "is a BigInt"],
  [() => 1, "is a function"],
  [Symbol("a"), "is a symbol"],
  [new Date(Number.NaN), "is an invalid Date"],
  [new Map(), "is a Map"],
  [new Set([1]), "is a Set"],
  [Promise.resolve(), "is a Promise"],
  [new Error("a"), "is an Error"],
  [new Uint8Array(2), "is binary data"],
  [/a/, "is a RegExp"],
  [{ toJSON: () => Number.NaN }, "is NaN"],
  [
    {
      toJSON: () => {
        throw new TypeError("no");
      },
    },
    "has a toJSON that throws TypeError: no",
  ],
);

test("values that JSON preserves are encoded as by JSON.stringify", () => {
  fc.assert(
    fc.property(kept, (value) => {
      const { json, value: returned } = encodeResult(value);
      expect(json).toBe(JSON.stringify(value ?? null));
      expect(returned).toBe(value ?? null);
    }),
    { numRuns: 300 },
  );
});

test("values that JSON would lose are rejected with their path", () => {
  const steps = fc.array(fc.oneof(fc.nat(2), fc.constantFrom("a", "b_1", "two words", '"')), {
    maxLength: 5,
  });
  fc.assert(
    fc.property(lost, steps, kept, ([value, reason], path, beside) => {
      let place = "result";
      for (const step of path)
        place +=
          typeof step === "number"
            ? `[${step}]`
            : /^\w+$/.test(step)
              ? `.${step}`
              : `[${JSON.stringify(step)}]`;
      const around = path
        .toReversed()
        .reduce<unknown>(
          (inner, step) =>
            typeof step === "number"
              ? [...Array.from({ length: step }, () => beside), inner]
              : { [`${step}0`]: beside, [step]: inner, z: Number.NaN },
          value,
        );
      expect(messageOf(around)).toStartWith(
        `The function returned a value that is not valid JSON: ${place} ${reason}`,
      );
    }),
  );
});

test("a cycle is rejected, and a repeated value is not", () => {
  const cycle: Record<string, unknown> = { list: [] };
  (cycle["list"] as unknown[]).push({ back: cycle });
  expect(messageOf(cycle)).toContain("result.list[0].back contains itself");
  const twice = { a: 1 };
  expect(encodeResult([twice, twice]).json).toBe('[{"a":1},{"a":1}]');
});

test("a value of the maximum depth is encoded, a deeper one is rejected", () => {
  const nested = (levels: number): unknown =>
    Array.from({ length: levels }).reduce<unknown>((inner) => [inner], 1);
  expect(encodeResult(nested(MAX_RESULT_DEPTH)).json).toBe(
    `${"[".repeat(MAX_RESULT_DEPTH)}1${"]".repeat(MAX_RESULT_DEPTH)}`,
  );
  expect(messageOf(nested(MAX_RESULT_DEPTH + 1))).toContain("nests deeper than");
});

test("a getter that throws is reported by its path, and a changing one is rejected", () => {
  const thrower = {
    get total(): never {
      throw new RangeError("no total");
    },
  };
  expect(messageOf({ items: [thrower] })).toContain(
    "result.items[0].total is a getter that throws RangeError: no total",
  );
  let reads = 0;
  const fickle = {
    get value(): unknown {
      reads += 1;
      return reads > 1 ? 1n : 1;
    },
  };
  expect(messageOf(fickle)).toContain("result changes while it is encoded");
});

function messageOf(value: unknown): string {
  try {
    encodeResult(value);
  } catch (error) {
    if (error instanceof UnencodableResultError) return error.message;
    throw error;
  }
  throw new Error("It was encoded.");
}
