import { expect, test } from "bun:test";
import { BODY_LIMITS, PylonError } from "@pylonsync/protocol";
import fc from "fast-check";
import { rowsOfBody, rowsOfJson, rowsOfLines, type ImportItem } from "./import-source.ts";

type Source = (chunks: AsyncIterable<Uint8Array>) => AsyncGenerator<ImportItem>;

/** An item in a comparable form: an error is represented by its code. */
type Seen = Omit<Extract<ImportItem, { readonly row: unknown }>, never> | readonly [number, string];

async function* piecesOf(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
  places.sort((a, b) => a - b);
  for (const [index, place] of places.entries())
    yield bytes.subarray(places[index - 1] ?? 0, place);
}

/** All items, and the code of the error that ends the import. */
async function read(
  source: Source,
  body: string | Uint8Array,
  cuts: readonly number[] = [],
): Promise<{ readonly items: readonly Seen[]; readonly error: string | null }> {
  const items: Seen[] = [];
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  try {
    for await (const item of source(piecesOf(bytes, cuts)))
      items.push("row" in item ? item : [item.line, item.error.code]);
    return { items, error: null };
  } catch (error) {
    if (!(error instanceof PylonError)) throw error;
    return { items, error: error.code };
  }
}

/** Text with characters that JSON escapes, and with characters of one to four bytes. */
const text = fc.string({
  unit: fc.constantFrom("a", '"', "\\", "\n", "é", "日", "\u{1F600}", "[", "{", ","),
});
const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), text);
const row = fc.dictionary(text, value, { maxKeys: 4, noNullPrototype: true });
const entities = fc.dictionary(
  fc.oneof(fc.constantFrom("Todo", "User"), text),
  fc.array(row, { maxLength: 4 }),
  {
    maxKeys: 3,
    noNullPrototype: true,
  },
);
const cuts = fc.array(fc.nat(), { maxLength: 12 });
const space = fc.constantFrom(undefined, 1, 2);

test("any chunking of a JSON body yields the rows of the parsed body, in its order", async () => {
  await fc.assert(
    fc.asyncProperty(entities, space, cuts, async (body, indent, places) => {
      const json = JSON.stringify({ entities: body }, null, indent);
      const parsed = JSON.parse(json) as { readonly entities: Record<string, unknown[]> };
      const expected = Object.entries(parsed.entities).flatMap(([entity, rows]) =>
        rows.map((one, index) => ({ line: index + 1, entity, row: one })),
      );
      const { items, error } = await read(rowsOfJson, json, places);
      expect(error).toBeNull();
      expect(JSON.stringify(items)).toBe(JSON.stringify(expected));
    }),
  );
});

test("any chunking of lines yields the rows of the lines, numbered from 1", async () => {
  const line = fc.oneof(
    fc.record({ entity: text, row: value }).map((item) => JSON.stringify(item)),
    fc.constantFrom("", "  "),
  );
  const ending = fc.constantFrom("\n", "\r\n");
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 6 }), ending, cuts, async (lines, end, places) => {
      const expected = lines.flatMap((one, index) =>
        one.trim() === "" ? [] : [{ line: index + 1, ...(JSON.parse(one) as object) }],
      );
      const { items, error } = await read(rowsOfLines, lines.join(end), places);
      expect(error).toBeNull();
      expect(JSON.stringify(items)).toBe(JSON.stringify(expected));
    }),
  );
});

test("the format of a body is recognized by its beginning, however it is cut", async () => {
  const lines = '\n {"entity": "Todo", "row": {"n": 1}}\n{"row": {"n": 2}, "entity": "Tag"}\n';
  const json = '{"counts": {"entity": 1}, "entities": {"Todo": [{"entity": "x"}]}}';
  await fc.assert(
    fc.asyncProperty(cuts, async (places) => {
      expect(await read(rowsOfBody, lines, places)).toEqual(await read(rowsOfLines, lines));
      expect(await read(rowsOfBody, json, places)).toEqual(await read(rowsOfJson, json));
    }),
  );
  for (const body of ["", "{", "[]", "{}"])
    expect(await read(rowsOfBody, body)).toEqual(await read(rowsOfJson, body));
});

test("the error of an invalid body does not depend on its chunks", async () => {
  const broken = fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.nat(), entities)
    .map(([bytes, at, body]) => {
      const whole = new TextEncoder().encode(JSON.stringify({ entities: body }));
      whole.set(bytes.subarray(0, whole.length - (at % whole.length)), at % whole.length);
      return whole;
    });
  await fc.assert(
    fc.asyncProperty(broken, cuts, async (bytes, places) => {
      for (const source of [rowsOfJson, rowsOfLines, rowsOfBody]) {
        const whole = await read(source, bytes);
        const cut = await read(source, bytes, places);
        expect(cut.error).toBe(whole.error);
        // Rows before the error may have been read already: then they are the first rows of the
        // same list.
        if (whole.error === null) expect(cut).toEqual(whole);
      }
    }),
  );
});

test("a JSON body is accepted exactly if it is JSON with lists by entity", async () => {
  const body = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.record({ entities: fc.jsonValue({ maxDepth: 2 }) }),
    fc.record({ entities: fc.dictionary(fc.constantFrom("A", "B"), value) }),
  );
  const isObject = (one: unknown): one is Record<string, unknown> =>
    typeof one === "object" && one !== null && !Array.isArray(one);
  await fc.assert(
    fc.asyncProperty(body, cuts, async (sent, places) => {
      const list = isObject(sent) ? sent["entities"] : undefined;
      const isValid = isObject(list) && Object.values(list).every(Array.isArray);
      const { error } = await read(rowsOfJson, JSON.stringify(sent), places);
      expect(error === null).toBe(isValid);
    }),
  );
});

test.each([
  ["{", ["INVALID_JSON"]],
  ["[1]", ["MISSING_ENTITY"]],
  ['{"entity":"A"}', ["MISSING_ENTITY"]],
  ['{"entity":1,"row":{}}', ["MISSING_ENTITY"]],
  [`${"[".repeat(1000)}`, ["INVALID_JSON"]],
])("the line %s is told by its number, and the next is read", async (line, [code = ""]) => {
  const { items } = await read(rowsOfLines, `${line}\n{"entity":"A","row":null}`);
  expect(items).toEqual([[1, code], { line: 2, entity: "A", row: null }]);
});

test("a row above the maximum size in bytes ends the import", async () => {
  const long = "x".repeat(BODY_LIMITS.rows);
  const cut = [BODY_LIMITS.rows + 10];
  expect((await read(rowsOfLines, `{"entity":"A","row":"${long}"}`, cut)).error).toBe(
    "PAYLOAD_TOO_LARGE",
  );
  expect((await read(rowsOfJson, `{"entities":{"A":["${long}"]}}`, cut)).error).toBe(
    "PAYLOAD_TOO_LARGE",
  );
});
