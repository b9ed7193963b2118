import { expect, test } from "bun:test";
import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import { ManualPlatform, turn } from "../testing/manual-platform.ts";
import { fillRows } from "./fill-rows.ts";
import { migrateToManifest } from "./migrate-to-manifest.ts";
import type { Select, Store, StoredRow, Transaction } from "./store.ts";
import { scratchStore } from "./testing/scratch-store.ts";

const appWith = (slug: object): Manifest => ({
  ...buildManifest({
    name: "fill",
    version: "1.0.0",
    entities: [entity("Item", { n: field.int(), ...slug })],
    policies: [],
  }),
});

/** A store in which another transaction has locked the rows of an entity, as in Postgres. */
function heldBy(store: Store, isHeld: () => boolean, looked: () => void): Store {
  const claiming = (tx: Transaction): Transaction =>
    new Proxy(tx, {
      get(target, name): unknown {
        if (name === "select")
          return async (query: Select): Promise<StoredRow[]> => {
            if (query.entity !== "Item" || query.isClaim !== true) return target.select(query);
            looked();
            return isHeld() ? [] : target.select(query);
          };
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  return new Proxy(store, {
    get(target, name): unknown {
      if (name === "transact")
        return (work: (tx: Transaction) => Promise<unknown>, options: object): Promise<unknown> =>
          target.transact((tx) => work(claiming(tx)), options);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("rows that others are writing are waited for, with pauses between the queries", async () => {
  await using scratch = scratchStore();
  const { store } = scratch;
  const platform = new ManualPlatform();
  const options = { platform, pylonVersion: "1.0.0" };
  await migrateToManifest(store, appWith({}), { ...options, dev: false });
  await store.transact((tx) => tx.insert("Item", { id: "a", n: 1 }));

  let isHeld = true;
  let looks = 0;
  const told: unknown[] = [];
  const held = heldBy(
    store,
    () => isHeld,
    () => (looks += 1),
  );
  const app = appWith({ slug: field.string().backfill(({ n }) => `item-${String(n)}`) });
  const filling = migrateToManifest(held, app, {
    ...options,
    dev: false,
    onProgress: (name, filled) => told.push([name, filled]),
  });
  while (platform.timers === 0 && looks < 20) await turn();
  expect(looks).toBe(1);
  expect(told).toEqual([]);

  isHeld = false;
  platform.advance(1_000);
  await filling;
  expect(looks).toBe(2);
  expect(told).toEqual([["Item.slug", 1]]);
  expect(await store.get("Item", "a")).toMatchObject({ slug: "item-1" });
  expect(await fillRows(store, app, { platform })).toBe(false);
});
