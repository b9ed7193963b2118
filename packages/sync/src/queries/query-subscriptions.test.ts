import { expect, test } from "bun:test";
import type { LiveMessage } from "@pylonsync/protocol";
import { systemPlatform, type Platform } from "../platform/platform.ts";
import { LocalStore } from "../replica/local-store.ts";
import { QuerySubscriptions } from "./query-subscriptions.ts";

interface Timer {
  readonly ms: number;
  readonly work: () => void;
}

function open() {
  const timers = new Set<Timer>();
  const after: Platform["after"] = (ms, work) => {
    const timer = { ms, work };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  const store = new LocalStore();
  let lastId = 0;
  const subscriptions = new QuerySubscriptions({
    store,
    platform: { ...systemPlatform, after, random: () => 0.5 },
    nextId: () => (lastId += 1),
    onAdvance: () => undefined,
  });
  const sent: Record<string, unknown>[] = [];
  subscriptions.opened((text) => {
    const message: Record<string, unknown> = JSON.parse(text);
    if (message["type"] !== "ping") sent.push(message);
  });
  const query = { entity: "Todo", where: {}, order: undefined, limit: undefined };
  const followed = subscriptions.follow(query, () => undefined);
  const take = (...messages: readonly LiveMessage[]): void => {
    for (const message of messages) subscriptions.take(message);
  };
  /** Runs the timers of at most this delay, in milliseconds. */
  const pass = (ms: number): void => {
    for (const timer of [...timers]) if (timer.ms <= ms && timers.delete(timer)) timer.work();
  };
  return { ...followed, subscriptions, store, sent, take, pass };
}

const OVERLOADED = {
  type: "error",
  id: 1,
  code: "OVERLOADED",
  message: "Too many reads.",
} as const;

test("a query that the server can't read at the moment is requested again, and stays shown", () => {
  const { subscription, sent, take, pass, store } = open();
  take(
    { type: "joined", id: 1, sub: 7 },
    { type: "rows", sub: 7, reset: true, rows: [{ id: "a" }] },
    { type: "ready", sub: 7, seq: 5, epoch: "log" },
    { ...OVERLOADED, retry_after_secs: 1 },
  );
  expect([subscription.error, store.confirmedCount, sent.length]).toEqual([null, 1, 1]);
  // The commits of other queries do not move the position of this one.
  take({ type: "commit", seq: 9, changes: [] });
  pass(2_000);
  expect(sent).toHaveLength(2);
  expect(sent[1]).toMatchObject({ type: "subscribe", id: 1, known: { seq: 5, epoch: "log" } });
  take(
    { type: "joined", id: 1, sub: 8 },
    { type: "rows", sub: 8, rows: [{ id: "b" }] },
    { type: "ready", sub: 8, seq: 9, epoch: "log" },
  );
  expect(store.confirmedCount).toBe(2);
});

test("the delays grow, and an error without a time to retry is final", () => {
  const { subscription, sent, take, pass } = open();
  take({ ...OVERLOADED, retry_after_secs: 1 });
  pass(1_500);
  expect(sent).toHaveLength(2);
  take({ ...OVERLOADED, retry_after_secs: 1 });
  pass(1_500);
  expect(sent).toHaveLength(2);
  pass(2_000);
  expect(sent).toHaveLength(3);
  take({ ...OVERLOADED, code: "INVALID_QUERY" });
  expect(subscription.error?.code).toBe("INVALID_QUERY");
  pass(60_000);
  expect(sent.filter(({ type }) => type === "subscribe")).toHaveLength(3);
});

test("a connection that is lost, or a query that is released, is not waited for", () => {
  const { release, subscriptions, sent, take, pass } = open();
  take({ ...OVERLOADED, retry_after_secs: 1 });
  subscriptions.closed();
  const again: string[] = [];
  subscriptions.opened((text) => void again.push(text));
  pass(20_000);
  expect([sent.length, again.length]).toEqual([1, 1]);
  take({ ...OVERLOADED, retry_after_secs: 40 });
  release();
  // Released after a while, before it would be requested again.
  pass(30_000);
  pass(60_000);
  expect(again.map((text) => /"type":"(\w+)"/.exec(text)?.[1])).toEqual([
    "subscribe",
    "unsubscribe",
  ]);
});
