import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemPlatform, type Platform } from "../../platform.ts";
import { openSqliteStore } from "../sqlite/sqlite-store.ts";
import type { Store } from "../store.ts";

const START = Date.parse("2026-01-01T00:00:00Z");

/** A new database with only the system tables, and clocks that move only when told to. */
export interface Scratch extends AsyncDisposable {
  readonly store: Store;
  readonly platform: Platform;
  /** Advances the clocks. */
  readonly advance: (ms: number) => void;
  /** Sets the machine's clock back, but not the monotonic clock. */
  readonly setBack: (ms: number) => void;
}

/** Opens a scratch database on SQLite; it is deleted at the end of the scope. */
export function scratchStore(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), "pylon-scratch-"));
  const store = openSqliteStore(join(folder, "scratch.db"));
  let now = START;
  let monotonic = 0;
  return {
    store,
    platform: { ...systemPlatform, now: () => now, monotonic: () => monotonic },
    advance: (ms) => {
      now += ms;
      monotonic += ms;
    },
    setBack: (ms) => {
      now -= ms;
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
