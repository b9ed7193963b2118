import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemPlatform, type Platform } from "../../platform.ts";
import { openSqliteStore } from "../sqlite/sqlite-store.ts";
import type { Store } from "../store.ts";

const START = Date.parse("2026-01-01T00:00:00Z");

/** A new database with only the system tables, and a clock that moves only when advanced. */
export interface Scratch extends AsyncDisposable {
  readonly store: Store;
  readonly platform: Platform;
  /** Advances the clock. */
  readonly advance: (ms: number) => void;
}

/** Opens a scratch database on SQLite; it is deleted at the end of the scope. */
export function scratchStore(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), "pylon-scratch-"));
  const store = openSqliteStore(join(folder, "scratch.db"));
  let now = START;
  return {
    store,
    platform: { ...systemPlatform, now: () => now },
    advance: (ms) => {
      now += ms;
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
