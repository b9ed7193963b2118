import { expect, test } from "bun:test";
import { createSyncEngine, PylonClientError, type Platform } from "@pylonsync/sync";
import { Refresher } from "./refresher.ts";

test("a request that a busy server rejects is repeated after the time that it names", async () => {
  const timers: { readonly ms: number; readonly work: () => void }[] = [];
  const after: Platform["after"] = (ms, work) => {
    timers.push({ ms, work });
    return () => undefined;
  };
  const platform = { after, random: () => 0.5 };
  const sync = createSyncEngine("http://localhost:1", { persist: false, platform });
  const busy = { code: "OVERLOADED", message: "Too many reads.", retry_after_secs: 2 };
  const answers = [
    () => Promise.reject(new PylonClientError(503, busy)),
    () => Promise.resolve(7),
    () => Promise.reject(new PylonClientError(400, { code: "INVALID_QUERY", message: "No." })),
  ];
  const told: unknown[] = [];
  const refresher = new Refresher({
    sync,
    entity: "Item",
    ask: () => answers.shift()?.() ?? expect.unreachable(),
    onAnswer: (answer) => told.push(answer),
    onError: ({ message }) => told.push(message),
  });
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const stop = refresher.start();
  await settled();
  expect([told, timers.map(({ ms }) => ms)]).toEqual([["Too many reads."], [3_000]]);
  timers.pop()?.work();
  await settled();
  expect([told.at(-1), timers]).toEqual([7, []]);
  refresher.refresh();
  await settled();
  // Without a time to retry, a request is not repeated.
  expect([told.at(-1), timers]).toEqual(["No.", []]);
  stop();
  sync.stop();
});

test("rows that change all the time cause few requests, and the last state is shown", async () => {
  let now = 0;
  let due: { readonly at: number; readonly work: () => void }[] = [];
  const platform = {
    now: () => now,
    after: (ms: number, work: () => void) => {
      const timer = { at: now + ms, work };
      due.push(timer);
      return () => void (due = due.filter((one) => one !== timer));
    },
  };
  const sync = createSyncEngine("http://localhost:1", { persist: false, platform });
  const asked: number[] = [];
  const ask = (): Promise<number> => Promise.resolve(asked.push(now));
  const ignored = (): void => undefined;
  const stop = new Refresher({
    sync,
    entity: "Item",
    ask,
    onAnswer: ignored,
    onError: ignored,
  }).start();
  /** Changes a row every 200 ms, until then. */
  const changeUntil = (end: number, changes = true): void => {
    for (; now < end; now += 50) {
      for (const timer of due.filter(({ at }) => at <= now)) {
        due = due.filter((one) => one !== timer);
        timer.work();
      }
      if (changes && now % 200 === 0)
        sync.store.applyChange({
          entity: "Item",
          row_id: "a",
          kind: "insert",
          data: { id: "a", n: now },
        });
    }
  };
  changeUntil(60_000);
  expect(asked.length).toBeLessThan(25);
  changeUntil(70_000, false);
  expect(asked.at(-1)).toBeGreaterThan(59_800);
  // After a pause changes are followed at once again.
  changeUntil(180_000, false);
  const before = asked.length;
  changeUntil(180_300);
  expect(asked.length).toBe(before + 1);
  stop();
  sync.stop();
});
