import { PylonError } from "@pylonsync/protocol";
import type { FunctionRateLimit } from "@pylonsync/functions";
import { expect, test } from "bun:test";
import { RateLimiter } from "../request/rate-limit.ts";
import { FunctionLimits, type CountedCall } from "./function-limits.ts";

const callOf = (userId: string | null, address: string, isGuest = false): CountedCall => ({
  caller: { userId, isGuest },
  address: () => address,
});
const ann = callOf("ann", "10.0.0.1");
const bob = callOf("bob", "10.0.0.1");
const guest = callOf(null, "10.0.0.1");
const other = callOf(null, "10.0.0.2");

/** Which of these calls are refused. */
async function refused(
  limits: FunctionLimits,
  rateLimit: FunctionRateLimit | undefined,
  callers: readonly CountedCall[],
): Promise<boolean[]> {
  const outcomes: boolean[] = [];
  for (const caller of callers) {
    const outcome = await limits
      .count("send", rateLimit === undefined ? {} : { rateLimit }, caller)
      .then(
        () => false,
        (error: unknown) => error instanceof PylonError && error.code === "RATE_LIMITED",
      );
    outcomes.push(outcome);
  }
  return outcomes;
}

const limitsOf = (): FunctionLimits =>
  new FunctionLimits(new RateLimiter({ max: 1, windowSeconds: 60 }));

test("a function without a limit has the server's", async () => {
  const limits = limitsOf();
  expect(await refused(limits, undefined, [ann, bob, ann])).toEqual([false, false, true]);
});

test("T17: new guests, and addresses of one network, do not get calls of their own", async () => {
  const calls = ["2001:db8::1", "2001:db8::2"].flatMap((address) => [
    callOf(`guest at ${address}`, address, true),
    callOf(null, address),
  ]);
  const limit = { max: 1, windowSecs: 60 };
  for (const declared of [undefined, limit, { ...limit, by: "address" as const }])
    expect(await refused(limitsOf(), declared, calls)).toEqual([false, true, true, true]);
});

test("a limit counts users, addresses or all calls together", async () => {
  const limit = { max: 2, windowSecs: 60 };
  const calls = [ann, ann, bob, guest, guest, ann, other, guest];
  expect(await refused(limitsOf(), limit, calls)).toEqual([
    ...[false, false, false, false, false, true, false, true],
  ]);
  expect(await refused(limitsOf(), { ...limit, by: "address" }, calls)).toEqual([
    ...[false, false, true, true, true, true, false, true],
  ]);
  expect(await refused(limitsOf(), { ...limit, by: "all" }, calls)).toEqual([
    ...[false, false, true, true, true, true, true, true],
  ]);
});

test("a changed limit starts again, an unchanged one continues", async () => {
  const limits = limitsOf();
  expect(await refused(limits, { max: 1, windowSecs: 60 }, [ann, ann])).toEqual([false, true]);
  expect(await refused(limits, { max: 1, windowSecs: 60 }, [ann])).toEqual([true]);
  expect(await refused(limits, { max: 2, windowSecs: 60 }, [ann])).toEqual([false]);
});
