import { expect, test } from "bun:test";
import { randomFraction, SharedInterval, sleep, systemPlatform } from "./platform.ts";

test("work runs once after its time, and not at all when it is cancelled", async () => {
  const done: string[] = [];
  systemPlatform.after(1, () => done.push("cancelled")).cancel();
  await new Promise<void>((resolve) =>
    systemPlatform.after(2, () => {
      done.push("once");
      resolve();
    }),
  );
  expect(done).toEqual(["once"]);
});

test("work runs soon: after this turn, in order, before any timer", async () => {
  const done: string[] = [];
  systemPlatform.soon(() => done.push("one"));
  systemPlatform.soon(() => done.push("other"));
  done.push("now");
  await new Promise<void>((resolve) => systemPlatform.soon(resolve));
  expect(done).toEqual(["now", "one", "other"]);
});

test("a sleep ends when its timer does, and a fraction is random", async () => {
  let wake = (): void => undefined;
  const asked: number[] = [];
  const sleeping = sleep(
    {
      after: (ms, work) => {
        asked.push(ms);
        wake = work;
        return systemPlatform.after(0, () => undefined);
      },
    },
    250,
  ).then(() => asked.push(-1));
  expect(asked).toEqual([250]);
  wake();
  await sleeping;
  expect(asked).toEqual([250, -1]);
  expect(randomFraction({ random: (bytes) => bytes.fill(0) })).toBe(0);
  expect(randomFraction({ random: (bytes) => bytes.fill(255) })).toBe(1 - 2 ** -32);
});

test("work runs repeatedly until it is cancelled", async () => {
  let times = 0;
  await new Promise<void>((resolve) => {
    const timer = systemPlatform.every(1, () => {
      times += 1;
      if (times < 3) return;
      timer.cancel();
      resolve();
    });
  });
  await new Promise<void>((resolve) => systemPlatform.after(5, resolve));
  expect(times).toBe(3);
});

test("monotonic time never goes back, and random values differ", () => {
  const start = systemPlatform.monotonic();
  expect(systemPlatform.monotonic()).toBeGreaterThanOrEqual(start);
  expect(systemPlatform.uuid()).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-/);
  expect(systemPlatform.uuid()).not.toBe(systemPlatform.uuid());
  const [one, other] = [new Uint8Array(16), new Uint8Array(16)];
  systemPlatform.random(one);
  systemPlatform.random(other);
  expect(one).not.toEqual(other);
});

test("work is done repeatedly, that of equal intervals in the same turn", async () => {
  const interval = new SharedInterval(1);
  expect([interval.has(4), interval.has(0), new SharedInterval(250).has(300)]).toEqual([
    true,
    false,
    false,
  ]);
  let turn = 0;
  const turns = { first: [] as number[], second: [] as number[] };
  const first = interval.every(4, () => {
    turn += 1;
    turns.first.push(turn);
    queueMicrotask(() => (turn += 1));
  });
  // The second begins at another time.
  await new Promise<void>((resolve) => {
    const other = interval.every(3, () => {
      other.cancel();
      resolve();
    });
  });
  await new Promise<void>((resolve) => {
    const second = interval.every(4, () => {
      turns.second.push(turn);
      if (turns.second.length < 3) return;
      second.cancel();
      first.cancel();
      resolve();
    });
  });
  expect(turns.first.slice(-3)).toEqual(turns.second);
});

test("the first time is not before the interval has passed", async () => {
  const interval = new SharedInterval(5);
  let beats = 0;
  const each = interval.every(5, () => (beats += 1));
  await new Promise<void>((resolve) => {
    const beat = interval.every(5, () => {
      beat.cancel();
      resolve();
    });
  });
  const began = beats;
  await new Promise<void>((resolve) => {
    const late = interval.every(15, () => {
      late.cancel();
      resolve();
    });
  });
  each.cancel();
  expect(beats - began).toBeGreaterThanOrEqual(3);
});

test("an error does not stop other work", async () => {
  const errors: unknown[] = [];
  const interval = new SharedInterval(1, (error) => errors.push(error));
  const failing = interval.every(1, () => {
    throw new Error("broken");
  });
  await new Promise<void>((resolve) => {
    const other = interval.every(1, () => {
      other.cancel();
      resolve();
    });
  });
  failing.cancel();
  expect(errors[0]).toEqual(new Error("broken"));
});

test("a process ends if all work that would keep it alive is cancelled", async () => {
  const script = `
    import { SharedInterval } from ${JSON.stringify(import.meta.resolve("./platform.ts"))};
    const interval = new SharedInterval(1);
    interval.every(1, () => undefined).unref();
    const kept = interval.every(2, () => {
      console.log("kept");
      kept.cancel();
    });`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  expect(await new Response(child.stdout).text()).toBe("kept\n");
  expect(await child.exited).toBe(0);
});
