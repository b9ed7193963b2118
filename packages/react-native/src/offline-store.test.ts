import { expect, test } from "bun:test";
import { persistChange, type PendingMutation, type Row } from "@pylonsync/sync";
import fc from "fast-check";
import { AsyncStoragePersistence } from "./async-storage-persistence.ts";
import type { AsyncStorageModule } from "./native-modules.ts";
import { OfflineStore } from "./offline-store.ts";

function asyncStorageOf(texts: Map<string, string>): AsyncStorageModule {
  return {
    getAllKeys: async () => [...texts.keys()],
    multiGet: async (keys) => keys.map((key) => [key, texts.get(key) ?? null] as const),
    multiSet: async (pairs) => {
      for (const [key, text] of pairs) texts.set(key, text);
    },
    multiRemove: async (keys) => {
      for (const key of keys) texts.delete(key);
    },
  };
}

const write = (id: string): Omit<PendingMutation, "status"> => ({
  id,
  change: { entity: "Todo", row_id: id, kind: "insert", data: { title: id }, op_id: id },
  userId: "ann",
});

test("AsyncStoragePersistence stores rows and a cursor, and applies changes to a row", async () => {
  const texts = new Map([["other", "not ours"]]);
  const kept = new AsyncStoragePersistence(asyncStorageOf(texts), "a");
  const neighbour = new AsyncStoragePersistence(asyncStorageOf(texts), "a:row");
  await kept.open();
  await kept.saveRow("Todo", "1", { title: "milk" });
  await neighbour.saveRow("Todo", "1", { title: "not of a" });
  const change = { entity: "Todo", row_id: "1", kind: "update", data: { done: true } } as const;
  await persistChange(kept, change);
  await persistChange(kept, { ...change, row_id: "2/x", kind: "insert", data: { title: "tea" } });
  expect(await kept.getRow("Todo", "1")).toEqual({ id: "1", title: "milk", done: true });
  expect(await kept.loadAllEntities()).toEqual({
    Todo: [
      { id: "1", title: "milk", done: true },
      { id: "2/x", title: "tea" },
    ],
  });
  await persistChange(kept, { entity: "Todo", row_id: "1", kind: "delete" });
  expect(await kept.getRow("Todo", "1")).toBeNull();
  expect(await kept.loadCursor()).toBeNull();
  await kept.saveCursor({ last_seq: 7 });
  expect(await kept.loadCursor()).toEqual({ last_seq: 7 });
  // A damaged text is treated as missing.
  for (const key of texts.keys()) if (key.includes("2/x")) texts.set(key, "{");
  expect(await kept.loadAll()).toEqual([]);
  await kept.clear();
  kept.close();
  expect(await kept.loadCursor()).toBeNull();
  expect(await neighbour.getRow("Todo", "1")).toEqual({ id: "1", title: "not of a" });
  expect(texts.get("other")).toBe("not ours");
});

test("an OfflineStore shows a change immediately, and keeps it over a restart", async () => {
  const texts = new Map<string, string>();
  const persistence = () => new AsyncStoragePersistence(asyncStorageOf(texts), "todo");
  const first = new OfflineStore(persistence());
  await first.open();
  let calls = 0;
  const stop = first.subscribe("Todo", () => (calls += 1));
  const change = { entity: "Todo", row_id: "1", kind: "insert", data: { title: "milk" } } as const;
  const isKept = first.applyChange(change);
  expect([first.get("Todo", "1"), calls]).toEqual([{ id: "1", title: "milk" }, 1]);
  await isKept;
  await first.applyChange({ ...change, kind: "update", data: { done: true } });
  stop();
  await first.saveCursor({ last_seq: 9 });
  first.mutations.add(write("w"));
  await first.close();
  const second = new OfflineStore(persistence());
  await second.open();
  expect(second.list("Todo")).toEqual([{ id: "1", title: "milk", done: true }]);
  expect([second.store.cursor, second.mutations.pending().map(({ id }) => id), calls]).toEqual([
    { last_seq: 9 },
    ["w"],
    2,
  ]);
  await second.clear();
  const third = new OfflineStore(persistence());
  await third.open();
  expect([third.list("Todo"), third.mutations.pending(), second.list("Todo")]).toEqual([
    [],
    [],
    [],
  ]);
});

test("the stored rows equal the shown rows, after any changes", async () => {
  const changes = fc.array(
    fc.record({
      entity: fc.constantFrom("A", "B"),
      row_id: fc.constantFrom("1", "2"),
      kind: fc.constantFrom("insert", "update", "delete"),
      data: fc.dictionary(fc.constantFrom("x", "y"), fc.integer()),
    }),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(changes, async (list) => {
      const texts = new Map<string, string>();
      const persistence = new AsyncStoragePersistence(asyncStorageOf(texts));
      const store = new OfflineStore(persistence);
      await store.open();
      await Promise.all(list.map((change) => store.applyChange(change)));
      const again = new OfflineStore(persistence);
      await again.open();
      const naive = new Map<string, Row>();
      for (const { entity, row_id: id, kind, data } of list) {
        const before = kind === "update" ? naive.get(`${entity}${id}`) : {};
        if (kind === "delete") naive.delete(`${entity}${id}`);
        else naive.set(`${entity}${id}`, { ...before, ...data, id });
      }
      for (const entity of ["A", "B"])
        for (const id of ["1", "2"]) {
          const expected = naive.get(`${entity}${id}`) ?? null;
          expect([store.get(entity, id), again.get(entity, id)]).toEqual([expected, expected]);
        }
    }),
  );
});
