import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { planMigration } from "../schema/diff.ts";
import { openStore } from "./open-store.ts";
import { peekManifest } from "./peek-manifest.ts";

const dir = mkdtempSync(join(tmpdir(), "pylon-peek-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const manifest = buildManifest({
  name: "peeked",
  version: "1.0.0",
  entities: [entity("Note", { text: field.string() })],
});

const DATABASES: Readonly<Record<string, () => Promise<DatabaseConfig>>> = {
  sqlite: () =>
    Promise.resolve({ kind: "sqlite", path: join(dir, "peeked.db"), isTemporary: false }),
  postgres: async () => ({
    kind: "postgres",
    url: await createDatabase(sharedPostgresUrl()),
    ca: null,
    poolMax: 2,
  }),
};

test.each(Object.entries(DATABASES))(
  "%s: null before Pylon has used it, and its manifest after that, even while it is open",
  async (_name, create) => {
    const database = await create();
    expect(await peekManifest(database)).toBeNull();
    expect(readdirSync(dir)).toEqual([]);
    const store = await openStore(database, { startTimeoutMs: 0, onState: () => undefined });
    expect(await peekManifest(database)).toBeNull();
    await store.migrate(() => ({
      migration: planMigration(null, manifest).migration,
      manifestJson: JSON.stringify(manifest),
    }));
    expect(await peekManifest(database)).toMatchObject({ name: "peeked" });
    await store.close();
    expect(await peekManifest(database)).toMatchObject({ name: "peeked" });
    expect(readdirSync(dir).filter((name) => name !== "peeked.db")).toEqual([]);
    rmSync(join(dir, "peeked.db"), { force: true });
  },
);
