import { hash } from "node:crypto";
import { expect, test } from "bun:test";
import { Client } from "pg";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { openStore } from "../open-store.ts";
import { BASE_DDL, BASE_GENERATION } from "./ddl.ts";

const INDEX = "_pylon_jobs_dueAt_id_set";
/** An index of a version that sorted all jobs by their time of creation. */
const OLD_INDEX = "_pylon_jobs_createdAt_id";

/** Starts a server's store on the database, and closes it. */
async function start(url: string): Promise<void> {
  const store = await openStore(
    { kind: "postgres", url, poolMax: 2, ca: null },
    { startTimeoutMs: 0, onState: () => undefined },
  );
  await store.close();
}

test("an older server does not change tables of a newer one", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  await start(url);
  const client = new Client({ connectionString: url });
  await client.connect();
  const set = (key: string, value: string): Promise<unknown> =>
    client.query(`UPDATE "_pylon_meta" SET value = $2 WHERE key = $1`, [key, value]);
  const base = async (): Promise<unknown[]> =>
    (await client.query(`SELECT value FROM "_pylon_meta" WHERE key LIKE 'base%' ORDER BY key`))
      .rows;
  const hasIndex = async (name = INDEX): Promise<boolean> => {
    const { rows } = await client.query(`SELECT to_regclass($1) IS NOT NULL AS found`, [
      `"${name}"`,
    ]);
    return (rows[0] as { found: boolean }).found;
  };
  try {
    expect(await hasIndex()).toBe(true);
    // Simulates what a server of the next generation does to the database.
    await client.query(`DROP INDEX "${INDEX}"`);
    await set("base", "of a newer server");
    await set("base_generation", String(BASE_GENERATION + 1));
    const newer = await base();
    await start(url);
    expect(await hasIndex()).toBe(false);
    expect(await base()).toEqual(newer);
    // The tables of an older version are migrated to this version.
    await client.query(`CREATE INDEX "${OLD_INDEX}" ON "_pylon_jobs" ("createdAt", id)`);
    await set("base_generation", String(BASE_GENERATION - 1));
    await start(url);
    expect([await hasIndex(), await hasIndex(OLD_INDEX)]).toEqual([true, false]);
  } finally {
    await client.end();
  }
});

test("the generation must be raised when BASE_DDL changes", () => {
  // If this fails, raise BASE_GENERATION by one, and insert the new pair here.
  const shape = hash("sha256", BASE_DDL.join("\n"), "hex").slice(0, 16);
  expect([BASE_GENERATION, shape]).toEqual([9, "76875a9adba55c9d"]);
});
