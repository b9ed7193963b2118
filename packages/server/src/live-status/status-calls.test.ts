import { expect, test } from "bun:test";
import { LIVE_JOB } from "@pylonsync/protocol";
import { ANONYMOUS } from "../identity/identity.ts";
import { StatusCalls } from "./status-calls.ts";

test("new followers count by user, and guests and anonymous callers by network", async () => {
  const keys: string[] = [];
  const none = { get: () => Promise.resolve(null) };
  const calls = new StatusCalls({
    functions: {
      check: () => ({ audience: "", isRead: false }),
      count: () => Promise.resolve(),
      run: () => Promise.reject(new Error("There are no functions.")),
    },
    limiter: {
      count: (key) => {
        keys.push(key());
        return Promise.resolve();
      },
    },
    jobs: none,
    workflows: none,
    watch: { follow: () => Promise.resolve() },
  });
  const callers = [
    { ...ANONYMOUS, userId: "ann" },
    { ...ANONYMOUS, userId: "g1", isGuest: true },
    { ...ANONYMOUS, userId: "g2", isGuest: true },
    ANONYMOUS,
  ];
  for (const caller of callers) await calls.count(LIVE_JOB, caller, "192.0.2.7");
  const [user, ...others] = keys.map((key) => key.replace(`${LIVE_JOB}:`, ""));
  expect(new Set(others).size).toBe(1);
  expect(others).not.toContain(user);
});
