import { expect, test } from "bun:test";
import type { SyncEngine } from "../engine/engine.ts";
import { LOADING, type LiveFunctionState } from "../live/live-function.ts";
import { Emitter } from "../platform/emitter.ts";
import { observeSearch } from "./server-read.ts";

test("a search that waits until its words are typed shows what another one has loaded", () => {
  const timers: (() => void)[] = [];
  const changed = new Emitter<void>();
  let state: LiveFunctionState = LOADING;
  const live = {
    getSnapshot: () => state,
    subscribe: (listener: () => void) => changed.on(listener),
    refresh: () => undefined,
  };
  const platform = { now: () => 0, after: (_ms: number, run: () => void) => timers.push(run) };
  const engine = { platform, live: () => live } as unknown as SyncEngine;
  observeSearch(engine, "Note", { query: "m" }).subscribe(() => undefined)();
  const found = observeSearch(engine, "Note", { query: "milk" });
  const shown: number[] = [];
  found.subscribe(() => shown.push(found.getSnapshot().total));
  expect(found.getSnapshot().loading).toBe(true);
  state = { data: { total: 3 }, loading: false, error: null };
  changed.emit();
  for (const run of timers) run();
  expect(shown).toEqual([3]);
});
