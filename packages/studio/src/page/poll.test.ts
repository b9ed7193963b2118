import { expect, test } from "bun:test";
import { poll, type Poller } from "./poll.ts";

/** A page whose time passes by `tick`. */
class StillPage implements Poller {
  visible = true;
  #waiting: { ms: number; callback: () => void } | undefined;

  readonly isVisible = (): boolean => this.visible;
  readonly after = (ms: number, callback: () => void): (() => void) => {
    const waiting = { ms, callback };
    this.#waiting = waiting;
    return () => {
      if (this.#waiting === waiting) this.#waiting = undefined;
    };
  };

  get waitsMs(): number | undefined {
    return this.#waiting?.ms;
  }

  tick(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.callback();
  }
}

test("the next request waits for the end of the one before", async () => {
  const page = new StillPage();
  const requests: PromiseWithResolvers<void>[] = [];
  const load = (): Promise<void> => {
    const request = Promise.withResolvers<void>();
    requests.push(request);
    return request.promise;
  };
  poll(load, 2_000, page);
  expect([requests.length, page.waitsMs]).toEqual([1, undefined]);
  requests[0]?.resolve();
  await Bun.sleep(0);
  expect([requests.length, page.waitsMs]).toEqual([1, 2_000]);
  page.tick();
  expect([requests.length, page.waitsMs]).toEqual([2, undefined]);
});

test("a page that nobody sees requests nothing until it is visible again", async () => {
  const page = new StillPage();
  page.visible = false;
  let requests = 0;
  poll(() => Promise.resolve(void (requests += 1)), 2_000, page);
  page.tick();
  await Bun.sleep(0);
  expect([requests, page.waitsMs]).toEqual([0, 2_000]);
  page.visible = true;
  page.tick();
  expect(requests).toBe(1);
});

test("after a stop there is no further request, not even after a running one", async () => {
  const page = new StillPage();
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = poll(() => promise, 2_000, page);
  stop();
  resolve();
  await Bun.sleep(0);
  expect(page.waitsMs).toBeUndefined();

  const stopWaiting = poll(() => Promise.resolve(), 2_000, page);
  await Bun.sleep(0);
  expect(page.waitsMs).toBe(2_000);
  stopWaiting();
  expect(page.waitsMs).toBeUndefined();
});
