import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TRUE } from "@pylonsync/query";
import type { Manifest } from "@pylonsync/sdk";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { compilePolicies } from "../../policy/policy-set.ts";
import { planMigration } from "../../schema/diff.ts";
import { Schema } from "../../schema/schema.ts";
import { RenamedStore } from "../../store/renames/renamed-store.ts";
import { openPostgresStore } from "../../store/postgres/postgres-store.ts";
import { openSqliteStore } from "../../store/sqlite/sqlite-store.ts";
import type { Store } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { ManualPlatform } from "../../testing/manual-platform.ts";
import { ANONYMOUS, type Caller } from "../../identity/identity.ts";
import { Committer, type CommitObserver } from "../commit.ts";
import { HookSet } from "../hooks.ts";
import { DataModel } from "../model.ts";
import { Reads } from "../reads.ts";

/** An app's data in its own database, without the rest of a server. */
export interface AppData extends AsyncDisposable {
  readonly store: Store;
  readonly model: DataModel;
  readonly committer: Committer;
  readonly platform: ManualPlatform;
  /** Reads on behalf of a caller, or without one, as a function does. */
  reads(caller?: Caller): Reads;
  /**
   * Deletes all rows of the app and all stored responses, for the next run of a property.
   *
   * @returns the head of the log, which is kept
   */
  clear(): Promise<number>;
}

/** Opens a database with the tables of the manifest. */
export async function openAppData(
  manifest: Manifest,
  options: {
    readonly observer?: CommitObserver;
    readonly maxRowBytes?: number;
    /** Default SQLite. */
    readonly database?: Store["dialect"];
  } = {},
): Promise<AppData> {
  const folder = mkdtempSync(join(tmpdir(), "pylon-data-"));
  const tables =
    options.database === "postgres"
      ? await openPostgresStore({
          url: await createDatabase(sharedPostgresUrl()),
          poolMax: 4,
          ca: null,
          startTimeoutMs: 0,
          onState: () => undefined,
        })
      : openSqliteStore(join(folder, "data.db"));
  const store = new RenamedStore(tables);
  const { migration, names, stored } = planMigration(null, manifest);
  await store.migrate(() => ({ migration, names, manifestJson: JSON.stringify(stored) }));
  const schema = Schema.fromManifest(manifest);
  const { policies } = compilePolicies(manifest, schema.shapes, { dev: false });
  const model = new DataModel(schema, policies, HookSet.of(manifest));
  const platform = new ManualPlatform();
  return {
    store,
    model,
    committer: new Committer(store, () => model, platform, options.observer, options.maxRowBytes),
    platform,
    reads: (caller) =>
      new Reads(store, model, {
        caller: caller ?? ANONYMOUS,
        policies: caller === undefined ? "bypassed" : "enforced",
        now: platform.now(),
        monotonic: platform.monotonic,
      }),
    async clear() {
      await store.transact(async (tx) => {
        const names = [...schema.entities.map(({ name }) => name), SYSTEM_TABLES.ops.name];
        for (const name of names) await tx.deleteWhere(name, TRUE);
      });
      return (await store.bounds()).head;
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A signed-in user. */
export function user(userId: string): Caller {
  return { ...ANONYMOUS, userId };
}
