import { expect, test } from "bun:test";
import { Client } from "pg";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { connectionOptions } from "./connection-options.ts";
import { SESSION_LIMITS, snapshotSettings } from "./session-settings.ts";

test("no session of Pylon compiles statements, directly and behind a pooler", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  const connection = await connectionOptions({
    url,
    startTimeoutMs: 10_000,
    poolMax: 2,
    ca: null,
    onState: () => undefined,
  });
  expect(await jitOf(new Client(connection), [])).toBe("off");
  const { options: _, ...pooled } = connection;
  expect(await jitOf(new Client(pooled), [])).toBe("on");
  expect(await jitOf(new Client(pooled), snapshotSettings(SESSION_LIMITS, pooled))).toBe("off");
});

/** Whether a transaction with these settings would compile an expensive statement. */
async function jitOf(client: Client, settings: readonly string[]): Promise<unknown> {
  await client.connect();
  try {
    await client.query(["BEGIN", ...settings].join("; "));
    const { rows } = await client.query<{ jit: unknown }>("SHOW jit");
    return rows[0]?.jit;
  } finally {
    await client.end();
  }
}
