import { PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { ADMIN } from "../identity/identity.ts";
import type { Entity } from "../schema/schema.ts";
import { csvLines } from "./csv-lines.ts";
import { rowsOfCsv } from "./csv-source.ts";
import { Importer, type ImportReport } from "./import-rows.ts";
import type { ImportItem } from "./import-source.ts";
import type { Value } from "../store/store.ts";
import { openAppData, type AppData } from "./testing/app-data.ts";

const manifest = buildManifest({
  name: "csv",
  version: "1.0.0",
  entities: [
    entity("Item", {
      name: field.string(),
      note: field.string().optional(),
      count: field.int().optional(),
      weight: field.float().optional(),
      price: field.decimal(9, 2).optional(),
      isNew: field.bool().optional(),
      at: field.datetime().optional(),
      tags: field.array(field.string()).optional(),
      meta: field.json().optional(),
      size: field.enum(["s", "m"]).default("m"),
    }),
  ],
});

let app: AppData;
let item: Entity;
beforeAll(async () => {
  app = await openAppData(manifest);
  item = app.model.entity("Item");
});
afterAll(() => app[Symbol.asyncDispose]());

/** The bytes in pieces of this size. */
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size)
    yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function itemsOf(text: string | Uint8Array, size = 7): Promise<ImportItem[]> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const found: ImportItem[] = [];
  for await (const one of rowsOfCsv(pieces(bytes, size), item)) found.push(one);
  return found;
}

async function rows(text: string): Promise<unknown[]> {
  return (await itemsOf(text)).map((one) => ("row" in one ? one.row : one.error.code));
}

async function imported(text: string, mode: "insert" | "upsert" = "insert"): Promise<ImportReport> {
  const importer = new Importer(app.committer, ADMIN, mode);
  const bytes = new TextEncoder().encode(text);
  await importer.run(rowsOfCsv(pieces(bytes, 1024), item), () => Promise.resolve());
  return importer.report;
}

async function refusal(text: string | Uint8Array): Promise<unknown> {
  const error: unknown = await itemsOf(text, 64 * 1024).catch((thrown: unknown) => thrown);
  if (!(error instanceof PylonError)) throw new Error("It was not refused.");
  return [error.code, error.message];
}

test("cells have the types of their fields, and empty ones are null or a default", async () => {
  const header = "id,name,note,count,weight,price,isNew,at,tags,meta,size\n";
  const full =
    'a,"x, ""y""\nz",=1+1, 007 ,1.5e2,12.50,TRUE,2026-01-31,"[""a"",""b""]","{""n"":1}",s\n';
  expect(await rows(`${header}${full}b,,,,,,,,,,\nc,"","",-2,,,0,,[],,`)).toEqual([
    {
      id: "a",
      name: 'x, "y"\nz',
      note: "=1+1",
      count: 7,
      weight: 150,
      price: "12.50",
      isNew: true,
      at: "2026-01-31",
      tags: ["a", "b"],
      meta: { n: 1 },
      size: "s",
    },
    {
      id: "b",
      name: "",
      note: null,
      count: null,
      weight: null,
      price: null,
      isNew: null,
      at: null,
      tags: null,
      meta: null,
    },
    expect.objectContaining({ name: "", note: "", count: -2, isNew: false, tags: [], meta: null }),
  ]);
});

test.each([
  ["commas", "name,count\na,1\n"],
  ["semicolons", "name;count\na;1\n"],
  ["tabs", "name\tcount\na\t1"],
  ["a byte order mark, quotes and spaces in the header", '\ufeff"name", count \na,1\n'],
  ["CRLF, and blank lines", "name,count\r\n\r\na,1\r\n\r\n"],
  ["CR", "name,count\ra,1\r"],
  ["different ends of lines", "name,count\r\na,1\n\r\n"],
])("a file with %s is read", async (_what, text) => {
  expect(await rows(text)).toEqual([{ name: "a", count: 1 }]);
});

test("a row that fails is reported with its line in the file, and its column", async () => {
  const text =
    "name,count,tags\r\n" +
    '"two\r\nlines",1,\r\n' +
    "\r\n" +
    "b,many,\r\n" +
    '"c\n\nd",2,a;b\r\n' +
    "e,3\r\n" +
    'f,4,"[1]"\r\n' +
    "g,1.5,[]";
  const { errors, ...counts } = await imported(text);
  expect(counts).toMatchObject({
    imported: 1,
    failed: 5,
    by_entity: [{ entity: "Item", inserted: 1, failed: 5 }],
  });
  expect(errors.map(({ line, column, code, field: name }) => [line, column, code, name])).toEqual([
    [5, 2, "INVALID_DATA", "count"],
    [6, 3, "INVALID_DATA", "tags"],
    [9, undefined, "INVALID_CSV", undefined],
    [10, 3, "INVALID_DATA", "tags"],
    [11, 2, "INVALID_DATA", "count"],
  ]);
});

test("an upsert updates the given columns of the rows that exist", async () => {
  await app.clear();
  await imported("id,name,note,count\na,first,kept,1\n");
  expect(await imported("id,count\na,2\n", "upsert")).toMatchObject({ updated: 1, failed: 0 });
  const [row] = await app.store.select({ entity: "Item" });
  expect(row).toMatchObject({ id: "a", name: "first", note: "kept", count: 2 });
});

test.each<[string | Uint8Array, string, string]>([
  ["", "INVALID_CSV", "The file is empty."],
  ["\n\n", "INVALID_CSV", "The file is empty."],
  ["name,colour\n", "INVALID_COLUMN", 'Line 1, column 2: Item has no field "colour".'],
  ["name,,\n", "INVALID_COLUMN", 'Line 1, column 2: Item has no field "".'],
  ["name,count,name\n", "INVALID_CSV", 'Line 1, column 3 names "name" again.'],
  ['name\na\n\n"b\nc\n', "INVALID_CSV", "Line 4, column 1 has a quoted text that does not end."],
  [
    'name,note\na,b "c"\n',
    "INVALID_CSV",
    "Line 2, column 2 has a quote inside of a text that is not quoted.",
  ],
  [
    'name,note\n"a\nb","c"d\n',
    "INVALID_CSV",
    "Line 2, column 2 continues after the end of a quoted text.",
  ],
  [
    `name,note\na,b\n"${"x".repeat(11 * 1024 * 1024)}`,
    "PAYLOAD_TOO_LARGE",
    "Line 3 has more than 10 MiB.",
  ],
  [
    Uint8Array.of(0x6e, 0x61, 0x6d, 0x65, 0x0a, 0xe4),
    "INVALID_CSV",
    "The file is not encoded in UTF-8.",
  ],
])("%#: a file that is not CSV of the entity is refused", async (text, code, message) => {
  expect(await refusal(text)).toEqual([code, message]);
});

const text = fc.string({ unit: "grapheme", maxLength: 12 }).filter((one) => one.isWellFormed());
const values = fc.record({
  name: fc.oneof(text, fc.constantFrom("", "=1", "+1", "-1", "@a", '"', "'x", " a ", "a\r\nb")),
  note: fc.option(text),
  count: fc.option(fc.integer()),
  weight: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0)),
  price: fc.option(fc.constantFrom("0", "-12.5", "1234567.89")),
  isNew: fc.option(fc.boolean()),
  at: fc.option(fc.constantFrom("2026-01-31T12:00:00.000Z")),
  tags: fc.option(fc.array(text, { maxLength: 3 })),
  meta: fc.option(fc.constantFrom<Value[]>({ a: [1, null] }, [], { b: "=1" })),
  size: fc.constantFrom("s", "m"),
});

test("an export can be imported without loss, whatever its texts contain", async () => {
  const storable = fc
    .array(values, { maxLength: 6 })
    .map((all) => all.map((row, index) => ({ id: `r${index}`, ...row })));
  await fc.assert(
    fc.asyncProperty(storable, async (all) => {
      const usable = all.filter((row) => !JSON.stringify(row).includes("\\u0000"));
      let file = "";
      const pages = (async function* () {
        yield await Promise.resolve(usable);
      })();
      for await (const part of csvLines(item, pages, { isForSpreadsheet: false })) file += part;
      await app.clear();
      expect(await imported(file)).toMatchObject({ imported: usable.length, failed: 0 });
      expect(await app.store.select({ entity: "Item" })).toEqual(usable as never);
    }),
    { numRuns: 60 },
  );
});

test("a file for a spreadsheet contains no formulas, and numbers stay numbers", async () => {
  const pages = (async function* () {
    yield await Promise.resolve([
      { id: "-a", name: "=cmd()", note: "+1", count: -1, price: "-1.50", tags: ["=1"], meta: null },
      { id: "b", name: "@x", note: "a=1", count: 2, price: null, tags: [], meta: "=2" },
    ]);
  })();
  let file = "";
  for await (const part of csvLines(item, pages, { isForSpreadsheet: true })) file += part;
  const [header = "", ...lines] = file.trimEnd().split("\n");
  expect(header).toStartWith("\ufeffid,name,");
  expect(lines).toEqual([
    `"'-a","'=cmd()","'+1",-1,,"-1.50",,,"[""=1""]",,`,
    `"b","'@x","a=1",2,,,,,"[]","""=2""",`,
  ]);
});

test("the rows before a mistake are read, in whatever pieces the file comes", async () => {
  const bytes = new TextEncoder().encode('name\na\n"b\nc"\n\nd"e\nf\n');
  for (const size of [1, 5, 100]) {
    const found: unknown[] = [];
    const read = async (): Promise<void> => {
      for await (const one of rowsOfCsv(pieces(bytes, size), item)) found.push(one);
    };
    const error: unknown = await read().catch((thrown: unknown) => thrown);
    expect(found).toMatchObject([
      { line: 2, row: { name: "a" } },
      { line: 3, row: { name: "b\nc" } },
    ]);
    expect(error).toMatchObject({ message: expect.stringContaining("Line 6, column 1 has a") });
  }
});

test("any bytes are read as rows or refused", async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .array(
        fc.constantFrom("name", "count", ",", ";", '"', "\n", "\r", "1", "a", "\ufeff", "\0"),
        {
          maxLength: 20,
        },
      )
      .map((parts) => new TextEncoder().encode(`name,count\n${parts.join("")}`)),
  );
  await fc.assert(
    fc.asyncProperty(bytes, fc.integer({ min: 1, max: 9 }), async (body, size) => {
      const error: unknown = await itemsOf(body, size).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(error === null || error instanceof PylonError).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test("the parser makes no error for a blank line or an incomplete row", async () => {
  using made = spyOn(Error, "captureStackTrace");
  const incomplete = "a\n".repeat(50);
  const items = await itemsOf(`name,count\n${"\n".repeat(50)}${incomplete}a,1,2\nb,1\n`, 64);
  expect(items).toHaveLength(52);
  // One for each of the rejected rows.
  expect(made.mock.calls.length).toBeLessThanOrEqual(51);
});

test("a line of far more values than fields ends the import before it is read", async () => {
  let sent = 0;
  async function* endlessLine(): AsyncGenerator<Uint8Array> {
    yield new TextEncoder().encode("name\nTea\n");
    for (; sent < 5_000_000; sent += 64 * 1024)
      yield await Promise.resolve(new TextEncoder().encode(",".repeat(64 * 1024)));
  }
  const found: ImportItem[] = [];
  const read = async (): Promise<void> => {
    for await (const one of rowsOfCsv(endlessLine(), item)) found.push(one);
  };
  const message = "Line 3 has far more values than there are fields.";
  await expect(read()).rejects.toMatchObject({ code: "INVALID_CSV", message });
  expect(sent).toBeLessThan(200_000);
  expect(found).toMatchObject([{ row: { name: "Tea" } }]);
  const [slightlyLonger] = await itemsOf(`name\n${",".repeat(500)}\n`);
  expect(slightlyLonger).toMatchObject({ error: { code: "INVALID_CSV" } });
});
