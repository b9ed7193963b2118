import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createIdFactory } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { Database } from "bun:sqlite";
import { openStore } from "@pylonsync/server";
import { appOf, startServer } from "../support/server.ts";

const manifest = buildManifest({
  name: "old",
  version: "1.0.0",
  access: "public",
  entities: [
    entity("Task", {
      madeAt: field.datetime().default("now"),
      due: field.datetime().default("2026-01-01"),
      late: field.datetime().optional().default("2026-01-02"),
    }),
  ],
});

/** A database as an older version left it: it stored defaults as written in the app. */
async function makeOldDatabase(
  file: string,
  rows: readonly (readonly (string | null)[])[],
): Promise<void> {
  // The tables of the server itself are the current ones.
  const store = await openStore(
    { kind: "sqlite", path: file, isTemporary: false },
    { startTimeoutMs: 0, onState: () => undefined },
  );
  await store.close();
  const database = new Database(file);
  database.run(
    `CREATE TABLE "Task" (id TEXT PRIMARY KEY NOT NULL, "madeAt" TEXT DEFAULT 'now', "due" ` +
      `TEXT DEFAULT '2026-01-01', "late" TEXT) STRICT, WITHOUT ROWID`,
  );
  database
    .query(`INSERT INTO "_pylon_meta" (key, value) VALUES ('manifest', ?)`)
    .run(JSON.stringify(manifest));
  for (const row of rows) database.query(`INSERT INTO "Task" VALUES (?, ?, ?, ?)`).run(...row);
  database.close();
}

test("Q2: dates that an older version stored as text are repaired once, at start", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-mend-"));
  const file = join(dir, "old.db");
  const madeAt = Date.parse("2026-03-04T05:06:07.089Z");
  const madeId = createIdFactory(() => madeAt, crypto.getRandomValues.bind(crypto))();
  await makeOldDatabase(file, [
    [madeId, "now", "2026-01-01", "2026-01-02"],
    ["chosen", "now", "2026-02-01T00:00:00.000Z", "someday"],
    ["fine", "2026-02-02T00:00:00.000Z", "someday", null],
  ]);
  const read = async (): Promise<{ tasks: Record<string, string | null>[]; epoch: unknown }> => {
    const server = await startServer(appOf(manifest), {
      PYLON_DB_PATH: file,
      PYLON_IN_MEMORY: "0",
    });
    try {
      const list = (await (await fetch(`${server.url}/api/entities/Task`)).json()) as {
        data: Record<string, string | null>[];
      };
      const pull = (await (await fetch(`${server.url}/api/sync/pull?since=0`)).json()) as {
        epoch: unknown;
      };
      return { tasks: list.data, epoch: pull.epoch };
    } finally {
      await server.stop();
    }
  };
  const started = new Date().toISOString();
  const { tasks, epoch } = await read();
  const byId = new Map(tasks.map((task) => [task["id"], task]));
  expect(byId.get(madeId)).toMatchObject({
    madeAt: "2026-03-04T05:06:07.089Z",
    due: "2026-01-01T00:00:00.000Z",
    late: "2026-01-02T00:00:00.000Z",
  });
  // An id that a client chose contains no time, so the time of the migration is the best estimate.
  expect((byId.get("chosen")?.["madeAt"] ?? "") >= started).toBe(true);
  expect(byId.get("chosen")?.["late"]).toBeNull();
  expect(byId.get("fine")?.["madeAt"]).toBe("2026-02-02T00:00:00.000Z");
  expect((byId.get("fine")?.["due"] ?? "") >= started).toBe(true);
  // It runs once: the second start changes nothing, and replicas keep their epoch.
  expect(await read()).toEqual({ tasks, epoch });
  rmSync(dir, { recursive: true, force: true });
});
