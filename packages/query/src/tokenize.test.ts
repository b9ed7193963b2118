import { expect, test } from "bun:test";
import fc from "fast-check";
import { QuerySyntaxError } from "./errors.ts";
import { tokenize, type Token } from "./tokenize.ts";

const space = fc.string({ unit: fc.constantFrom(" ", "\n", "\t"), minLength: 1, maxLength: 3 });
const text = fc.string({
  unit: fc.constantFrom("a", '"', "'", "\\", "\n", "\t", "é", "\u{1F600}", "u"),
});
const part: fc.Arbitrary<readonly [source: string, token: Pick<Token, "type" | "text">]> = fc.oneof(
  fc
    .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,5}$/)
    .map((name) => [name, { type: "name", text: name }] as const),
  fc
    .stringMatching(/^-?\d{1,5}(\.\d{1,3})?$/)
    .map((number) => [number, { type: "number", text: number }] as const),
  text.map((value) => [JSON.stringify(value), { type: "string", text: value }] as const),
  text.map((value) => {
    const quoted = JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
    return [`'${quoted}'`, { type: "string", text: value }] as const;
  }),
  fc
    .constantFrom("||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", ".", ",", "[", "]")
    .map((symbol) => [symbol, { type: "symbol", text: symbol }] as const),
);
const parts = fc.array(fc.tuple(space, part), { maxLength: 8 });

test("tokens have the text that was written, each with its position", () => {
  fc.assert(
    fc.property(parts, space, (written, rest) => {
      let source = "";
      const expected: Token[] = [];
      for (const [before, [raw, token]] of written) {
        expected.push({ ...token, at: source.length + before.length });
        source += before + raw;
      }
      expect(tokenize(source + rest)).toEqual([
        ...expected,
        { type: "end", text: "", at: source.length },
      ]);
    }),
  );
});

test("an invalid character is shown at its position, whatever precedes it", () => {
  const stranger = fc.constantFrom("#", "=", "&", "|", "$", '"open', "'open", "+", "é");
  fc.assert(
    fc.property(parts, stranger, (written, wrong) => {
      const source = written.map(([before, [raw]]) => before + raw).join("");
      try {
        tokenize(`${source} ${wrong}`);
      } catch (error) {
        if (!(error instanceof QuerySyntaxError)) throw error;
        expect(error.position).toBe(source.length + 1);
        return;
      }
      throw new Error("It has a meaning.");
    }),
  );
});
