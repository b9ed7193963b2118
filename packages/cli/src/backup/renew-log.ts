import { openStore, type Config } from "@pylonsync/server";

/** Makes every client load a new snapshot: for a database that was restored. */
export async function renewLogOf(database: Config["database"]): Promise<void> {
  const store = await openStore(database, { startTimeoutMs: 0, onState: () => undefined });
  try {
    await store.renewLog();
  } finally {
    await store.close();
  }
}
