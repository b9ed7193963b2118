import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { ADMIN } from "../identity/identity.ts";
import type { Route } from "../request/route.ts";
import { openAppData, type AppData } from "./testing/app-data.ts";
import { callRoute, readStream } from "./testing/call-route.ts";
import { transferRoutes } from "./transfer-routes.ts";

const manifest = buildManifest({
  name: "transfer",
  version: "1.0.0",
  entities: [
    entity("Item", { n: field.int(), note: field.string().optional() }),
    entity("Tag", { text: field.string() }),
  ],
});

let app: AppData;
let routes: readonly Route[];
beforeAll(async () => {
  app = await openAppData(manifest);
  const { store, committer, platform } = app;
  const services = { store, committer, platform, model: () => app.model, reader: () => store };
  routes = transferRoutes(services);
});
afterAll(() => app[Symbol.asyncDispose]());

const LINES = { accept: "application/x-ndjson" };
const exportAll = (headers: Readonly<Record<string, string>> = {}): Promise<string> =>
  readStream(routes, "GET", "/api/export", { caller: ADMIN, headers });

async function insert(rows: Readonly<Record<string, readonly { id: string }[]>>): Promise<void> {
  await app.store.transact(async (tx) => {
    for (const [name, all] of Object.entries(rows))
      for (const row of all) await tx.insert(name, row);
  });
}

const text = fc.string({ unit: "grapheme", maxLength: 8 });
const items = fc.array(fc.record({ n: fc.integer(), note: fc.option(text) }), { maxLength: 6 });
const tags = fc.array(fc.record({ text }), { maxLength: 4 });

test("an export, in either format, can be imported without loss", async () => {
  await fc.assert(
    fc.asyncProperty(items, tags, async (madeItems, madeTags) => {
      await app.clear();
      const rows = {
        Item: madeItems.map((row, index) => ({ id: `i${index}`, ...row })),
        Tag: madeTags.map((row, index) => ({ id: `t${index}`, ...row })),
      };
      await insert(rows);
      const document = JSON.parse(await exportAll()) as Readonly<Record<string, unknown>>;
      expect(document).toEqual({
        exported_at: new Date(app.platform.now()).toISOString(),
        entities: rows,
        counts: { Item: rows.Item.length, Tag: rows.Tag.length },
      });
      const lines = (await exportAll(LINES)).split("\n").filter((line) => line !== "");
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
        Object.entries(rows).flatMap(([name, all]) => all.map((row) => ({ entity: name, row }))),
      );

      await app.clear();
      const call = { caller: ADMIN, body: document };
      const answer = await callRoute(routes, "POST", "/api/import", call);
      expect(answer).toMatchObject({
        status: 200,
        body: { imported: rows.Item.length + rows.Tag.length, failed: 0 },
      });
      expect((JSON.parse(await exportAll()) as { entities: unknown }).entities).toEqual(rows);
    }),
    { numRuns: 25 },
  );
});

test("an export of one entity has all of its rows, over several pages", async () => {
  await app.clear();
  const rows = Array.from({ length: 2_001 }, (_, n) => ({
    id: `i${String(n).padStart(5, "0")}`,
    n,
    note: null,
  }));
  await insert({ Item: rows, Tag: [{ id: "t", text: "not asked for" } as never] });
  const call = { caller: ADMIN, params: { entity: "Item" } };
  const found = await readStream(routes, "GET", "/api/export/:entity", call);
  expect(JSON.parse(found)).toMatchObject({ entities: { Item: rows }, counts: { Item: 2_001 } });
});

test("an import writes the rows before an error, and reports their number", async () => {
  await app.clear();
  await insert({ Item: [{ id: "i0", n: 0 } as never] });
  const rows = {
    Item: [
      { id: "i0", n: 1 },
      { id: "i1", n: 1 },
    ],
  };
  const body = { entities: rows };
  const imported = (search: string) =>
    callRoute(routes, "POST", "/api/import", { caller: ADMIN, body, search });
  expect(await imported("?mode=merge")).toMatchObject({
    status: 400,
    body: { error: { code: "INVALID_QUERY", field: "mode" } },
  });
  expect((await imported("")).body).toMatchObject({ imported: 1, updated: 0, failed: 1 });
  expect((await imported("?mode=upsert")).body).toMatchObject({ imported: 0, updated: 2 });
});

test("an entity that does not exist can't be exported", async () => {
  const call = { caller: ADMIN, params: { entity: "Nothing" } };
  expect(await callRoute(routes, "GET", "/api/export/:entity", call)).toMatchObject({
    body: { error: { code: "ENTITY_NOT_FOUND" } },
  });
});

test("one entity is exported and imported as CSV, and only one", async () => {
  await app.clear();
  await insert({
    Item: [{ id: "a", n: 1, note: "" } as never, { id: "b", n: 2, note: null } as never],
  });
  const params = { entity: "Item" };
  const csv = { accept: "text/csv" };
  const call = { caller: ADMIN, params, headers: csv };
  const file = await readStream(routes, "GET", "/api/export/:entity", call);
  expect(file).toBe('id,n,note\n"a",1,""\n"b",2,\n');
  expect(
    await callRoute(routes, "GET", "/api/export", { caller: ADMIN, headers: csv }),
  ).toMatchObject({ status: 400, body: { error: { code: "INVALID_QUERY" } } });
  const json = { caller: ADMIN, params, headers: { "content-type": "application/json" } };
  expect(
    await callRoute(routes, "POST", "/api/import/:entity", { ...json, body: {} }),
  ).toMatchObject({ status: 400, body: { error: { code: "INVALID_CSV" } } });
});

test("an import without rows to write gives everything else a turn", async () => {
  const turnsDuring = async (path: string, type: string): Promise<number> => {
    let [turns, isOver] = [0, false];
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    const call = { caller: ADMIN, params: { entity: "Tag" }, headers: { "content-type": type } };
    const answer = await callRoute(routes, "POST", path, {
      ...call,
      text: `text\n${"\n".repeat(2 ** 18)}`,
    });
    isOver = true;
    expect(answer.status).toBe(200);
    return turns;
  };
  expect(await turnsDuring("/api/import/:entity", "text/csv")).toBeGreaterThan(3);
  expect(await turnsDuring("/api/import", "application/x-ndjson")).toBeGreaterThan(3);
});
