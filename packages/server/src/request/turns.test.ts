import { expect, test } from "bun:test";
import { systemPlatform } from "../platform.ts";
import { Turns } from "./turns.ts";

/** Blocks the event loop. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test("concurrent requests let the event loop turn, however long each takes", async () => {
  for (const [ms, count] of [
    [4, 12],
    [25, 4],
    [0.2, 200],
  ] as const) {
    const turns = new Turns(systemPlatform);
    let turned = 0;
    let isDone = false;
    const watch = (): void => {
      if (isDone) return;
      turned += 1;
      setImmediate(watch);
    };
    setImmediate(watch);
    await Promise.all(
      Array.from({ length: count }, async () => {
        const turn = turns.next();
        if (turn !== null) await turn;
        work(ms);
      }),
    );
    isDone = true;
    expect(turned).toBeGreaterThan(1);
  }
});

test("a request that arrives after the loop has turned does not wait", async () => {
  const turns = new Turns(systemPlatform);
  for (let request = 0; request < 3; request += 1) {
    expect(turns.next()).toBe(null);
    work(15);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
});
