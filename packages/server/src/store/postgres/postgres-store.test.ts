import { storeSuite } from "../store.suite.ts";
import { createDatabase, sharedPostgresUrl } from "../../../../../tests/support/servers/postgres.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

function open(url: string): Promise<PostgresStore> {
  return openPostgresStore({ url, poolMax: 4, ca: null, startPatienceMs: 0, onState: () => undefined });
}

storeSuite("Postgres", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  let store = await open(url);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await open(url);
      return store;
    },
    remove: () => store.close(),
  };
});
