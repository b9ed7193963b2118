import { expect, test } from "bun:test";
import fc from "fast-check";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { AttemptLimits } from "./attempt-limits.ts";

const LIMIT = { max: 3, windowSeconds: 60 };

test("allows as many attempts per window as the limit says, on all replicas together", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const replicas = [new AttemptLimits(store, platform), new AttemptLimits(store, platform)];
  const all = await Promise.allSettled(
    Array.from({ length: 10 }, (_, n) => replicas[n % 2]?.count("password", "ann", LIMIT)),
  );
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  const [refused] = all.filter((one) => one.status === "rejected");
  expect(refused?.reason).toMatchObject({ code: "RATE_LIMITED", extra: { retry_after_secs: 60 } });
  await replicas[0]?.count("password", "ben", LIMIT);
  await replicas[0]?.count("code", "ann", LIMIT);
  advance(60_000);
  await replicas[1]?.count("password", "ann", LIMIT);
});

test("a clock that is set back locks nobody out for long", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance, setBack } = scratch;
  const limits = new AttemptLimits(store, platform);
  for (let n = 0; n < 3; n += 1) await limits.count("password", "ann", LIMIT);
  const attempt = (on = limits): Promise<void> => on.count("password", "ann", LIMIT);
  await expect(attempt()).rejects.toMatchObject({ code: "RATE_LIMITED" });
  setBack(60 * 60_000);
  await expect(attempt()).rejects.toMatchObject({ extra: { retry_after_secs: 60 } });
  advance(60_000);
  await attempt();
  // A replica that has seen none of it.
  for (let n = 0; n < 2; n += 1) await attempt();
  setBack(60 * 60_000);
  await attempt(new AttemptLimits(store, platform));
});

test("counts like a list of times, for any sequence of attempts, resets and waits", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const limits = new AttemptLimits(store, platform);
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant("try" as const) },
    { weight: 1, arbitrary: fc.constant("forget" as const) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 70_000 }) },
  );
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const key = `user${(run += 1)}`;
      let window: { count: number; until: number } | null = null;
      for (const one of steps) {
        if (typeof one === "number") advance(one);
        else if (one === "forget") {
          await limits.forget("password", key);
          window = null;
        } else {
          const now = platform.now();
          if (window === null || window.until <= now) window = { count: 0, until: now + 60_000 };
          const isAllowed = window.count < LIMIT.max;
          if (isAllowed) window.count += 1;
          const outcome = limits.count("password", key, LIMIT).then(
            () => true,
            () => false,
          );
          expect(await outcome).toBe(isAllowed);
        }
      }
    }),
    { numRuns: 25 },
  );
});

test("all addresses that one client may have count as one", async () => {
  await using scratch = scratchStore();
  const limits = new AttemptLimits(scratch.store, scratch.platform);
  const once = { max: 1, windowSeconds: 60 };
  await limits.countFrom("mail", "2001:db8:1:2::1", once);
  await expect(limits.countFrom("mail", "2001:db8:1:2::99", once)).rejects.toMatchObject({
    code: "RATE_LIMITED",
  });
  await limits.countFrom("mail", "203.0.113.7", once);
});

test("only expired windows are deleted", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const limits = new AttemptLimits(store, platform);
  await limits.count("password", "ann", LIMIT);
  advance(30_000);
  await limits.count("password", "ben", LIMIT);
  advance(30_000);
  expect(await limits.forgetExpired()).toBe(1);
  advance(30_000);
  expect(await limits.forgetExpired()).toBe(1);
});
