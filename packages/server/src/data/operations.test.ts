import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import type { Caller } from "../identity/identity.ts";
import type { Route } from "../request/route.ts";
import { bulkRoutes } from "./bulk-routes.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import { callRoute } from "./testing/call-route.ts";

const manifest = buildManifest({
  name: "operations",
  version: "1.0.0",
  entities: [
    entity(
      "Item",
      {
        slug: field.string().unique(),
        shelf: field.string().default("a"),
        place: field.int().default(0),
        stock: field.int().min(0).max(9).optional(),
        weight: field.float().default(0),
        paid: field.decimal(6, 2).max(100).default("0.00"),
        tags: field.array(field.string()).max(4).optional(),
        extra: field.json().optional(),
        pin: field.string().default("1").hidden(),
        ownerId: field.string().owner(),
      },
      { indexes: [{ name: "by_place", fields: ["shelf", "place"], unique: true }] },
    ),
    entity("Note", { itemId: field.id("Item"), about: field.json().optional() }),
  ],
  policies: [
    policy({ name: "own", entity: "Item", allow: "auth.userId == data.ownerId" }),
    policy({ name: "all", entity: "Note", allow: "true" }),
  ],
});
const ann = user("ann");

let app: AppData;
let routes: readonly Route[];
beforeAll(async () => {
  const database = process.env["PYLON_TEST_STORE"] === "postgres" ? "postgres" : "sqlite";
  app = await openAppData(manifest, { database });
  const { store, committer, platform } = app;
  const services = { store, committer, platform, model: () => app.model, reader: () => store };
  routes = bulkRoutes(services);
});
afterAll(() => app[Symbol.asyncDispose]());
beforeEach(async () => {
  await app.clear();
});

interface Result {
  readonly ok: boolean;
  readonly id?: string;
  readonly created?: boolean;
  readonly error?: { readonly code: string; readonly field?: string };
}

async function transact(
  operations: readonly object[],
  caller: Caller = ann,
): Promise<readonly Result[]> {
  const { body } = await callRoute(routes, "POST", "/api/transact", { caller, body: operations });
  return (body as { readonly results?: readonly Result[] }).results ?? [];
}

/** The error code of a single operation, or "ok". */
async function codeOf(operation: object, caller: Caller = ann): Promise<string> {
  const call = { caller, body: [operation] };
  const { body } = await callRoute(routes, "POST", "/api/transact", call);
  const { results, error } = body as {
    readonly results?: readonly Result[];
    readonly error?: { readonly code: string };
  };
  return (error ?? results?.[0]?.error)?.code ?? "ok";
}

const item = (id: string): Promise<Record<string, unknown> | null> => app.store.get("Item", id);
const insert = (id: string, data: object = {}): object => ({
  op: "insert",
  entity: "Item",
  id,
  data: { slug: id, place: Number(id.codePointAt(0)), ...data },
});
const update = (data: object, more: object = {}): object => ({
  op: "update",
  entity: "Item",
  id: "i",
  data,
  ...more,
});

const patches = fc.record(
  {
    stock: fc.integer({ min: -4, max: 4 }),
    weight: fc.double({ min: -2, max: 2, noNaN: true }),
    tags: fc.array(fc.constantFrom("a", "b"), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);

test("operators have the same effect on a row as the same steps on a plain object", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(patches, { maxLength: 6 }), async (all) => {
      await app.clear();
      await transact([insert("i")]);
      let [stock, weight]: [number | null, number] = [null, 0];
      let tags: readonly string[] | null = null;
      for (const asked of all) {
        const next: {
          stock: number | null;
          weight: number;
          tags: readonly string[] | null;
        } = {
          stock: asked.stock === undefined ? stock : (stock ?? 0) + asked.stock,
          weight: weight + (asked.weight ?? 0),
          tags: asked.tags === undefined ? tags : [...(tags ?? []), ...asked.tags],
        };
        const isValid =
          (asked.stock === undefined || (Number(next.stock) >= 0 && Number(next.stock) <= 9)) &&
          (asked.tags === undefined || (next.tags ?? []).length <= 4);
        const code = await codeOf(
          update({
            ...(asked.stock === undefined ? {} : { stock: { $increment: asked.stock } }),
            ...(asked.weight === undefined ? {} : { weight: { $increment: asked.weight } }),
            ...(asked.tags === undefined ? {} : { tags: { $append: asked.tags } }),
          }),
        );
        expect(code).toBe(isValid ? "ok" : "INVALID_DATA");
        if (isValid) ({ stock, weight, tags } = next);
        expect(await item("i")).toMatchObject({ stock, weight, tags });
      }
    }),
    { numRuns: 30 },
  );
});

test("increments and items of concurrent writers are all kept", async () => {
  await transact([insert("i", { weight: 0 })]);
  const paid = { $increment: "0.10" };
  const writes = Array.from({ length: 12 }, (_, n) =>
    transact([
      update({ paid, weight: { $increment: n }, ...(n < 4 && { tags: { $append: ["t"] } }) }),
    ]),
  );
  for (const [result] of await Promise.all(writes)) expect(result).toMatchObject({ ok: true });
  expect(await item("i")).toMatchObject({ weight: 66, paid: "1.2", tags: ["t", "t", "t", "t"] });
});

test("an object that is not an operator is rejected, or is the value of a json field", async () => {
  await transact([insert("i", { extra: { $increment: 1 } })]);
  const wrong = [
    { stock: { $increment: 1.5 } },
    { stock: { $increment: "1" } },
    { stock: { $append: [1] } },
    { paid: { $increment: "0.001" } },
    { paid: { $increment: "100.01" } },
    { paid: { $increment: "much" } },
    { stock: { $increment: 1, $append: [1] } },
    { tags: { $append: "a" } },
    { tags: { $append: [1] } },
    { slug: { $increment: 1 } },
  ];
  for (const data of wrong) expect(await codeOf(update(data))).toBe("INVALID_DATA");
  expect(await codeOf(update({ ownerId: { $increment: 1 } }))).toBe("READONLY_FIELD");
  expect(await codeOf(update({ none: { $increment: 1 } }))).toBe("INVALID_COLUMN");
  expect(await codeOf(insert("j", { stock: { $increment: 1 } }))).toBe("INVALID_DATA");
  expect(await codeOf(update({ extra: { $append: [1] } }))).toBe("ok");
  expect(await item("i")).toMatchObject({ extra: { $append: [1] }, stock: null, tags: null });
});

test("a write with ifUnchanged is applied only if the row has the expected values", async () => {
  const values = fc.record(
    {
      stock: fc.constantFrom(1, 2, null),
      tags: fc.constantFrom(["a"], [], null),
      extra: fc.constantFrom({ a: 1, b: 2 }, { b: 2, a: 1 }, { a: 1 }, null),
    },
    { requiredKeys: [] },
  );
  const same = (one: unknown, other: unknown): boolean => Bun.deepEquals(one ?? null, other);
  const ops = fc.constantFrom("update", "delete");
  await fc.assert(
    fc.asyncProperty(values, values, ops, async (row, expected, op) => {
      await app.clear();
      await transact([insert("i", row)]);
      const names = Object.keys(expected) as (keyof typeof expected)[];
      const differs = names.find((name) => !same(row[name], expected[name] ?? null));
      const code =
        names.length === 0 ? "INVALID_DATA" : differs === undefined ? "ok" : "ROW_CHANGED";
      const [result] = await transact([{ op, entity: "Item", id: "i", ifUnchanged: expected }]);
      expect(result?.error?.code ?? "ok").toBe(code);
      if (differs !== undefined) expect(result?.error?.field).toBe(differs);
      const isGone = op === "delete" && code === "ok";
      expect((await item("i")) === null).toBe(isGone);
    }),
    { numRuns: 40 },
  );
});

test("of two writes that expect the same row, one is applied", async () => {
  await transact([insert("i", { stock: 1 })]);
  const take = update({ stock: 2 }, { ifUnchanged: { stock: 1 } });
  const codes = await Promise.all([codeOf(take), codeOf(take), codeOf(take)]);
  expect(codes.toSorted()).toEqual(["ROW_CHANGED", "ROW_CHANGED", "ok"]);
});

test("a condition reveals nothing about hidden fields and unreadable rows", async () => {
  await transact([insert("i", { stock: 1 })]);
  expect(await codeOf(update({}, { ifUnchanged: { pin: "1" } }))).toBe("INVALID_COLUMN");
  const bob = user("bob");
  for (const stock of [1, 2])
    expect(await codeOf(update({}, { ifUnchanged: { stock } }), bob)).toBe("NOT_FOUND");
});

test("upserts make one row per key, as a map does", async () => {
  const upserts = fc.record({
    slug: fc.constantFrom("x", "y", "z"),
    amount: fc.integer({ min: 0, max: 3 }),
    patched: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(upserts, { maxLength: 8 }), async (all) => {
      await app.clear();
      const expected = new Map<string, number>();
      for (const { slug, amount, patched } of all) {
        const [result] = await transact([
          {
            op: "upsert",
            entity: "Item",
            by: "slug",
            data: { slug, place: slug.codePointAt(0), weight: amount },
            ...(patched && { update: { weight: { $increment: amount } } }),
          },
        ]);
        const known = expected.get(slug);
        expect(result).toMatchObject({ ok: true, created: known === undefined });
        expected.set(slug, patched && known !== undefined ? known + amount : amount);
      }
      const rows = await app.store.select({ entity: "Item" });
      expect(new Map(rows.map(({ slug, weight }) => [slug, weight]))).toEqual(expected);
    }),
    { numRuns: 30 },
  );
});

test("an upsert is keyed by fields that are unique together, or by the id", async () => {
  const place = { op: "upsert", entity: "Item", by: ["place", "shelf"] };
  const data = { slug: "s", shelf: "b", place: 4, stock: 1 };
  expect((await transact([{ ...place, data }]))[0]).toMatchObject({ created: true });
  const [again] = await transact([{ ...place, data: { ...data, slug: "t", stock: 2 } }]);
  expect(again).toMatchObject({ created: false });
  expect(await item(String(again?.id))).toMatchObject({ slug: "t", stock: 2, ownerId: "ann" });
  const byId = { op: "upsert", entity: "Item", by: "id", id: "own", data: { slug: "u" } };
  expect((await transact([byId]))[0]).toMatchObject({ id: "own", created: true });
  expect((await transact([byId]))[0]).toMatchObject({ id: "own", created: false });
});

test("an upsert reports an invalid key, and does not change other users' rows", async () => {
  const upsert = (by: unknown, data: object): object => ({
    op: "upsert",
    entity: "Item",
    by,
    data,
  });
  expect(await codeOf(upsert(undefined, { slug: "s" }))).toBe("INVALID_DATA");
  expect(await codeOf(upsert([], { slug: "s" }))).toBe("INVALID_DATA");
  expect(await codeOf(upsert("shelf", { slug: "s", shelf: "a" }))).toBe("INVALID_DATA");
  expect(await codeOf(upsert("pin", { slug: "s", pin: "1" }))).toBe("INVALID_COLUMN");
  expect(await codeOf(upsert("slug", { place: 1 }))).toBe("MISSING_FIELD");
  expect(await codeOf(upsert("slug", { slug: null }))).toBe("MISSING_FIELD");
  expect(await codeOf({ ...upsert("slug", { slug: "s" }), ifUnchanged: {} })).toBe("INVALID_DATA");
  await transact([insert("i")]);
  const taken = upsert("slug", { slug: "i", place: 1 });
  expect(await codeOf(taken, user("bob"))).toBe("UNIQUE_VIOLATION");
});

test("concurrent upserts of one key make one row, and none of them is lost", async () => {
  const upsert = {
    op: "upsert",
    entity: "Item",
    by: "slug",
    data: { slug: "s", weight: 1 },
    update: { weight: { $increment: 1 } },
  };
  const results = await Promise.all(Array.from({ length: 8 }, () => transact([upsert])));
  expect(results.map(([result]) => result?.ok)).toEqual(Array.from({ length: 8 }, () => true));
  expect(results.filter(([result]) => result?.created)).toHaveLength(1);
  const rows = await app.store.select({ entity: "Item" });
  expect(rows.map(({ weight }) => weight)).toEqual([8]);
});

test("later operations refer to the rows of earlier ones by their names", async () => {
  const about = { $ref: "item.id" };
  const results = await transact([
    { op: "insert", entity: "Item", as: "item", data: { slug: "s" } },
    { op: "insert", entity: "Note", as: "note", data: { itemId: { $ref: "item.id" }, about } },
    { op: "update", entity: "Item", id: { $ref: "item.id" }, data: { stock: 3 } },
    { op: "delete", entity: "Note", id: { $ref: "note.id" }, ifUnchanged: { itemId: about } },
    { op: "insert", entity: "Note", data: { itemId: about, about } },
  ]);
  expect(results.map(({ ok }) => ok)).toEqual([true, true, true, true, true]);
  const [row] = await app.store.select({ entity: "Item" });
  expect(row).toMatchObject({ slug: "s", stock: 3 });
  const notes = await app.store.select({ entity: "Note" });
  expect(notes).toMatchObject([{ itemId: row?.id, about }]);
});

test("a reference without a row rejects a transaction, or one operation of a batch", async () => {
  const note = (name: string): object => ({
    op: "insert",
    entity: "Note",
    data: { itemId: { $ref: name } },
  });
  expect(await codeOf(note("none.id"))).toBe("INVALID_DATA");
  expect(await codeOf({ ...note("self.id"), as: "self" })).toBe("INVALID_DATA");
  const refused = { op: "insert", entity: "Item", as: "item", data: {} };
  const { body } = await callRoute(routes, "POST", "/api/batch", {
    caller: { ...ann, isAdmin: true },
    body: { operations: [refused, note("item.id")] },
  });
  expect(body).toMatchObject({
    succeeded: 0,
    results: [{ error: { code: "MISSING_FIELD" } }, { error: { field: "itemId" } }],
  });
  for (const operations of [
    [{ ...refused, as: "a b" }],
    [refused, refused],
    [{ ...refused, by: "slug" }],
    [{ ...refused, id: { $ref: 1 } }],
  ]) {
    const answer = await callRoute(routes, "POST", "/api/transact", {
      caller: ann,
      body: operations,
    });
    expect(answer.status).toBe(400);
    expect(await transact(operations)).toEqual([]);
  }
});
