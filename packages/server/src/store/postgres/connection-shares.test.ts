import { expect, test } from "bun:test";
import fc from "fast-check";
import { ManualPlatform, turn } from "../../testing/manual-platform.ts";
import { ConnectionShares, type ShareName } from "./connection-shares.ts";

const NAMES: readonly ShareName[] = ["read", "query", "write", "blocked"];
const steps = fc.array(
  fc.oneof(
    fc.record({
      take: fc.constantFrom(...NAMES),
      caller: fc.constantFrom("ann", "bob", ""),
    }),
    fc.record({ give: fc.nat() }),
  ),
  { maxLength: 60 },
);

interface Held {
  readonly name: ShareName;
  readonly caller: string;
  readonly release: () => void;
}

test("connections are granted within the limits, and all waiting requests get one", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 3, max: 12 }), steps, async (size, all) => {
      const shares = new ConnectionShares(size, new ManualPlatform());
      const held: Held[] = [];
      let asked = 0;
      let granted = 0;
      const giveBack = async (index: number): Promise<void> => {
        const [one] = held.splice(index % held.length, 1);
        one?.release();
        // Releasing it again has no effect.
        one?.release();
        await turn();
      };
      for (const step of all) {
        if ("take" in step) {
          asked += 1;
          const { take: name, caller } = step;
          void shares.acquire(name, caller, 1000).then((release) => {
            granted += 1;
            held.push({ name, caller, release });
          });
          await turn();
        } else if (held.length > 0) await giveBack(step.give);
        expect(held.length).toBeLessThanOrEqual(size);
        expect(shares.waiting).toBe(asked - granted);
        const queries = held.filter(({ name }) => name === "query");
        for (const caller of ["ann", "bob"]) {
          const own = queries.filter((one) => one.caller === caller).length;
          expect(own).toBeLessThanOrEqual(Math.max(1, Math.floor(size / 2)));
        }
        expect(held.filter(({ name }) => name === "blocked").length).toBeLessThanOrEqual(
          Math.max(1, Math.floor(size / 4)),
        );
      }
      while (held.length > 0) await giveBack(0);
      expect(granted).toBe(asked);
      expect(shares.waiting).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test("a pool with only reserved connections also serves blocked work, after writes", async () => {
  const shares = new ConnectionShares(3, new ManualPlatform());
  const blocked = shares.tryAcquire("blocked", "");
  expect(blocked).not.toBeNull();
  // In the meantime the others have their connections, and a write gets the next free one.
  expect(shares.tryAcquire("read", "")).not.toBeNull();
  expect(shares.tryAcquire("query", "")).not.toBeNull();
  const served: string[] = [];
  for (const name of ["blocked", "write"] as const)
    void shares.acquire(name, "", 1000).then(() => served.push(name));
  blocked?.();
  await turn();
  expect(served).toEqual(["write"]);
});

test("regardless of the number of requests in one share, the others have their connections", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 4, max: 20 }),
      fc.shuffledSubarray([...NAMES], { minLength: 1 }),
      (size, greedy) => {
        const shares = new ConnectionShares(size, new ManualPlatform());
        for (const name of greedy)
          for (let taken = 0; taken < 50; taken += 1)
            shares.tryAcquire(name, name === "query" ? `caller ${taken}` : "");
        for (const name of ["read", "write", "query"] as const)
          if (!greedy.includes(name)) expect(shares.tryAcquire(name, "")).not.toBeNull();
      },
    ),
  );
});

test("a request that waits too long or is aborted is rejected, and leaves the queue", async () => {
  const platform = new ManualPlatform();
  const shares = new ConnectionShares(3, platform);
  const releases = NAMES.flatMap((name) => {
    const found: (() => void)[] = [];
    for (;;) {
      const release = shares.tryAcquire(name, "");
      if (release === null) return found;
      found.push(release);
    }
  });
  expect(releases).toHaveLength(3);
  const settled: string[] = [];
  const wait = (name: string, withinMs: number, signal?: AbortSignal): void => {
    void shares.acquire("write", "", withinMs, signal).then(
      () => settled.push(`${name} has it`),
      (error: unknown) => settled.push(`${name}: ${String(error)}`),
    );
  };
  const left = new AbortController();
  wait("short", 100);
  wait("gone", 1000, left.signal);
  wait("patient", 1000);
  platform.advance(99);
  await turn();
  expect(settled).toEqual([]);
  platform.advance(1);
  left.abort(new Error("the client went away"));
  await turn();
  expect(settled).toEqual([
    "short: PylonError: All connections to the database are in use.",
    "gone: Error: the client went away",
  ]);
  expect(shares.waitingFor("write")).toBe(1);
  for (const release of releases) release();
  await turn();
  expect(settled.at(-1)).toBe("patient has it");
  expect(platform.timers).toBe(0);
});
