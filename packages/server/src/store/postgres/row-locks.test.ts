import { expect, test } from "bun:test";
import fc from "fast-check";
import { turn } from "../../testing/manual-platform.ts";
import { RowBusyError, RowLocks, type HeldRows } from "./row-locks.ts";

const KEYS = ["a", "b", "c", "d"];
const keys = fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1 });
const NEVER = new AbortController().signal;

test("a row has one holder at a time, and all waiting holders get their rows", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(keys, { minLength: 1, maxLength: 8 }), async (wanted) => {
      const locks = new RowLocks();
      const holders = new Map<string, number>();
      const order: number[] = [];
      const workers = wanted.map(async (own, index) => {
        const hold = locks.hold();
        await hold.exchangeFor(own, NEVER);
        expect([...hold.keys].toSorted()).toEqual(own.toSorted());
        for (const key of own) {
          expect(holders.get(key)).toBeUndefined();
          holders.set(key, index);
        }
        await turn();
        for (const key of own) holders.delete(key);
        order.push(index);
        hold.release();
      });
      await Promise.all(workers);
      expect(order.toSorted((a, b) => a - b)).toEqual(wanted.map((_, index) => index));
      // Nothing is left over: everything can be taken immediately.
      const last = locks.hold();
      for (const key of KEYS) last.claim(key);
    }),
    { numRuns: 60 },
  );
});

test("a row of another holder is rejected immediately; rows of the same work are not", () => {
  const locks = new RowLocks();
  const [one, other] = [locks.hold(), locks.hold()];
  one.claim("a");
  one.claim("a");
  expect(() => other.claim("a")).toThrow(RowBusyError);
  other.claim("b");
  one.release();
  other.claim("a");
  expect([...other.keys]).toEqual(["b", "a"]);
  other.keepOnly("a");
  one.claim("b");
  expect(() => one.claim("a")).toThrow(RowBusyError);
  other.keepOnly(null);
  one.claim("a");
});

test("a waiter that is aborted holds nothing, and is skipped", async () => {
  const locks = new RowLocks();
  const [holder, abandoning, next] = [locks.hold(), locks.hold(), locks.hold()];
  holder.claim("b");
  const reason = new Error("too long");
  const patience = new AbortController();
  const left = abandoning.exchangeFor(["a", "b"], patience.signal).then(
    () => "has them",
    (error: unknown) => error,
  );
  let served: HeldRows | null = null;
  const waiting = next.exchangeFor(["b"], NEVER).then(() => (served = next));
  await turn();
  expect([...abandoning.keys]).toEqual(["a"]);
  patience.abort(reason);
  expect(await left).toBe(reason);
  expect([...abandoning.keys]).toEqual([]);
  expect(served).toBeNull();
  holder.release();
  await waiting;
  expect([...next.keys]).toEqual(["b"]);
  // With a signal that is already aborted, it does not wait for a turn at all.
  await expect(abandoning.exchangeFor(["b"], patience.signal)).rejects.toBe(reason);
});
