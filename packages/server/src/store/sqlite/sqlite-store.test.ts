import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import { planMigration } from "../../schema/diff.ts";
import { storeSuite } from "../store.suite.ts";
import { openSqliteStore } from "./sqlite-store.ts";

storeSuite("SQLite", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-store-"));
  const file = join(dir, "s.db");
  let store = openSqliteStore(file);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = openSqliteStore(file);
      return store;
    },
    remove: async () => {
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});

test("a system table of an older version gets its new columns", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-store-"));
  const file = join(dir, "s.db");
  const old = new Database(file, { create: true });
  old.run(
    `CREATE TABLE "_pylon_ops" (id TEXT PRIMARY KEY NOT NULL, answer TEXT) STRICT, WITHOUT ROWID`,
  );
  old.close();
  const store = openSqliteStore(file);
  await store.transact((tx) =>
    tx.insert("_pylon_ops", { id: "x", answer: "1", at: "2026-01-01T00:00:00.000Z" }),
  );
  expect(await store.get("_pylon_ops", "x")).toMatchObject({ at: "2026-01-01T00:00:00.000Z" });
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

test("plans are made with the indexes that a migration has just created or dropped", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-store-"));
  const store = openSqliteStore(join(dir, "s.db"));
  const appWith = (text: ReturnType<typeof field.string>): Manifest =>
    buildManifest({ name: "a", version: "1.0.0", entities: [entity("Thing", { text })] });
  const migrate = (from: Manifest | null, to: Manifest): Promise<void> =>
    store.migrate(() => ({
      migration: planMigration(from, to).migration,
      manifestJson: JSON.stringify(to),
    }));
  const scans = async (): Promise<readonly string[]> => {
    const left = { kind: "path", root: "data", name: "text" } as const;
    const where = {
      kind: "compare",
      op: "==",
      left,
      right: { kind: "literal", value: "x" },
    } as const;
    return (await store.explain({ entity: "Thing", where, limit: 5 })).scans;
  };
  const [plain, indexed] = [appWith(field.string()), appWith(field.string().index())];
  await migrate(null, plain);
  expect(await scans()).toEqual(["Thing"]);
  await migrate(plain, indexed);
  expect(await scans()).toEqual([]);
  await migrate(indexed, plain);
  expect(await scans()).toEqual(["Thing"]);
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});
