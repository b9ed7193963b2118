import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { MAX_IMPORT_ERRORS } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const manifest = buildManifest({
  name: "shop",
  version: "1.0.0",
  entities: [
    entity("Item", {
      name: field.string().unique(),
      price: field.int().optional(),
      note: field.string().optional(),
    }),
    entity("Tag", { text: field.string() }),
  ],
});

type Json = Readonly<Record<string, unknown>>;

let server: TestServer;
beforeAll(async () => {
  server = await startServer(appOf(manifest));
});
afterAll(() => server.stop());

async function importInto(
  url: string,
  body: BodyInit,
  { type = "application/json", mode = "" } = {},
): Promise<{ status: number; body: Json }> {
  const response = await fetch(`${url}/api/import${mode === "" ? "" : `?mode=${mode}`}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, "Content-Type": type },
    body,
  });
  return { status: response.status, body: (await response.json()) as Json };
}

async function exported(url: string, accept = "application/json"): Promise<string> {
  const headers = { Authorization: `Bearer ${ADMIN_TOKEN}`, Accept: accept };
  return (await fetch(`${url}/api/export`, { headers })).text();
}

function entitiesOf(text: string): unknown {
  return (JSON.parse(text) as { readonly entities: unknown }).entities;
}

/** A body that is sent in these pieces. */
function pieces(...texts: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    pull(controller) {
      const text = texts.shift();
      if (text === undefined) controller.close();
      else controller.enqueue(encoder.encode(text));
    },
  });
}

test("Q6: each failure has its line, code and field, and the other rows are written", async () => {
  const rows = [
    { name: "a", price: 1 },
    { name: "b", price: "dear" },
    { name: "a" },
    { name: "c", colour: "red" },
    "not a row",
    { name: "d" },
  ];
  const { status, body } = await importInto(
    server.url,
    JSON.stringify({ entities: { Item: rows, Nothing: [{}] } }),
  );
  expect(status).toBe(200);
  expect(body).toMatchObject({
    imported: 2,
    failed: 5,
    by_entity: [{ entity: "Item", inserted: 2, updated: 0, failed: 4 }],
    errors: [
      { line: 2, entity: "Item", code: "INVALID_DATA", field: "price" },
      { line: 3, entity: "Item", code: "UNIQUE_VIOLATION", field: "name" },
      { line: 4, entity: "Item", code: "INVALID_COLUMN", field: "colour" },
      { line: 5, entity: "Item", code: "INVALID_DATA" },
      { line: 1, entity: "Nothing", code: "ENTITY_NOT_FOUND" },
    ],
  });
});

test("Q6: the first failures are listed, and all are counted", async () => {
  const rows = Array.from({ length: MAX_IMPORT_ERRORS + 20 }, () => ({ price: 1 }));
  const { body } = await importInto(server.url, JSON.stringify({ entities: { Item: rows } }));
  expect(body).toMatchObject({ imported: 0, failed: MAX_IMPORT_ERRORS + 20 });
  expect(body["errors"]).toHaveLength(MAX_IMPORT_ERRORS);
});

describe("an export can be imported", () => {
  let source: TestServer;
  let target: TestServer;
  beforeEach(async () => {
    source = await startServer(appOf(manifest));
    target = await startServer(appOf(manifest));
  });
  afterEach(async () => {
    await source.stop();
    await target.stop();
  });

  test("Q6: as JSON larger than the limit of a request body", async () => {
    const note = 'ä"\\\n'.repeat(1_300);
    const rows = Array.from({ length: 1_200 }, (_, n) => ({ id: `i${n}`, name: `n${n}`, note }));
    const texts = rows.map((row, index) => `${index === 0 ? "" : ","}${JSON.stringify(row)}`);
    const body = pieces('{"version": [1], "entities": {"Item": [', ...texts, '], "Tag": []}}');
    expect(await importInto(source.url, body)).toMatchObject({
      status: 200,
      body: { imported: 1_200, failed: 0 },
    });
    const text = await exported(source.url);
    expect(text.length).toBeGreaterThan(10 * 1024 * 1024);
    expect(await importInto(target.url, text)).toMatchObject({ body: { imported: 1_200 } });
    expect(entitiesOf(await exported(target.url))).toEqual(entitiesOf(text));
  });

  test("Q6: as NDJSON, however it is split into chunks", async () => {
    await importInto(
      source.url,
      '{"entities": {"Item": [{"name": "ü1"}, {"name": "2"}], "Tag": [{"text": "t"}]}}',
    );
    const text = await exported(source.url, "application/x-ndjson");
    const bytes = text.split("");
    expect(
      await importInto(target.url, pieces(...bytes), { type: "application/x-ndjson" }),
    ).toMatchObject({ status: 200, body: { imported: 3, failed: 0, errors: [] } });
    expect(entitiesOf(await exported(target.url))).toEqual(entitiesOf(await exported(source.url)));
  });
});

test("Q6: a line that is not a row is reported with its number", async () => {
  const text =
    '{"entity": "Tag", "row": {"text": "a"}}\n\nnonsense\n{"row": {}}\n{"entity": "Tag", ' +
    '"row": {}}';
  expect(await importInto(server.url, text, { type: "application/x-ndjson" })).toMatchObject({
    body: {
      imported: 1,
      failed: 3,
      errors: [
        { line: 3, code: "INVALID_JSON" },
        { line: 4, code: "MISSING_ENTITY" },
        { line: 5, entity: "Tag", code: "MISSING_FIELD", field: "text" },
      ],
    },
  });
});

test("Q6: upsert updates the fields of existing rows", async () => {
  const send = (price: number, mode = ""): ReturnType<typeof importInto> =>
    importInto(
      server.url,
      JSON.stringify({
        entities: {
          Item: [
            { id: "i1", name: `one${price}`, price },
            { id: "i2", name: `two${price}` },
          ],
        },
      }),
      { mode },
    );
  expect(await send(1)).toMatchObject({ body: { imported: 2 } });
  expect(await send(2)).toMatchObject({
    body: {
      imported: 0,
      failed: 2,
      errors: [
        { code: "ID_TAKEN", id: "i1" },
        { code: "ID_TAKEN", id: "i2" },
      ],
    },
  });
  expect(await send(3, "upsert")).toMatchObject({
    body: { imported: 0, updated: 2, failed: 0, by_entity: [{ updated: 2 }] },
  });
  const { Item } = entitiesOf(await exported(server.url)) as { readonly Item: readonly Json[] };
  expect(Item.filter(({ id }) => id === "i1" || id === "i2")).toMatchObject([
    { id: "i1", price: 3 },
    { id: "i2", name: "two3" },
  ]);
  expect(await send(4, "replace")).toMatchObject({
    status: 400,
    body: { error: { field: "mode" } },
  });
});

test.each([
  ["invalid JSON", "nonsense", "INVALID_JSON"],
  ["zero bytes", "", "MISSING_FIELD"],
  ["no entities", '{"rows": []}', "MISSING_FIELD"],
  ["entities that are a list", '{"entities": [[1]]}', "MISSING_FIELD"],
  ["entities that are a text", '{"entities": "Item"}', "MISSING_FIELD"],
  ["rows that are a text", '{"entities": {"Item": "all"}}', "INVALID_DATA"],
  ["rows by name", '{"entities": {"Item": {"a": {"name": "x"}}}}', "INVALID_DATA"],
  ["truncated JSON", '{"entities": {"Item": [{"name": "x"}', "INVALID_JSON"],
])("Q6: a body of %s is rejected with an error", async (_, body, code) => {
  expect(await importInto(server.url, body)).toMatchObject({
    status: 400,
    body: { error: { code } },
  });
});

test("Q6: for a truncated body the response says how many rows were written", async () => {
  expect(
    await importInto(server.url, '{"entities": {"Item": [{"name": "left"}, {"name": "right"},'),
  ).toMatchObject({
    status: 400,
    body: { error: { code: "INVALID_JSON", imported: 2, failed: 0 } },
  });
});
