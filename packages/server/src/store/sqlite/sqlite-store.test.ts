import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
