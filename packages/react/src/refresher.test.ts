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
