import { expect, test } from "bun:test";
import { SharedTabs } from "../../../../tests/support/shared-tabs.ts";
import { TabGroup, type TabFeed } from "./tabs.ts";
import type { TransportEvents } from "./transport/transport.ts";

/**
 * A clock that the test advances: timers that are due at the same time run before messages arrive.
 */
class Clock {
  #now = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  readonly after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const at = Math.min(...this.#timers.map((timer) => timer.at));
      if (at > end) break;
      this.#now = at;
      const due = this.#timers.filter((timer) => timer.at === at);
      this.#timers = this.#timers.filter((timer) => timer.at !== at);
      for (const { run } of due) run();
      await settled();
    }
    this.#now = end;
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

test("tabs that miss their leader at the same moment each connect", async () => {
  const clock = new Clock();
  const shared = new SharedTabs();
  const opened: TransportEvents[] = [];
  const feed: TabFeed = {
    open: (events) => {
      opened.push(events);
      return { close: () => undefined };
    },
    catchUp: () => Promise.resolve({ seq: 1, epoch: "e" }),
    live: null,
    events: {
      onOpen: () => undefined,
      onChanges: () => undefined,
      onHello: () => undefined,
      onMessage: () => undefined,
      onEnd: () => undefined,
    },
  };
  const tabs = [{}, {}, {}];
  for (const [index, tab] of tabs.entries()) {
    new TabGroup(shared.platformOf(tab), "group", `tab ${index}`, clock.after).open(feed);
    await settled();
  }
  opened[0]?.onHello({ seq: 1, epoch: "e" });
  await settled();
  expect(opened).toHaveLength(1);
  const [leader = {}] = tabs;
  shared.deafen(leader);
  await clock.pass(60_000);
  expect(opened).toHaveLength(3);
});

test("a tab does not count as closed while its lock is being acquired", async () => {
  const clock = new Clock();
  const shared = new SharedTabs();
  const asked: string[] = [];
  const left: string[] = [];
  const opened: TransportEvents[] = [];
  const feedOf = (name: string): TabFeed => ({
    open: (events) => {
      opened.push(events);
      return { close: () => undefined };
    },
    catchUp: () => Promise.reject(new Error("It asks for single queries.")),
    live: {
      connect: (open) => {
        const connection = open({
          onOpen: () => undefined,
          onText: () => undefined,
          onEnd: () => undefined,
        });
        connection.send?.(`what ${name} shows`);
        return connection;
      },
      server: {
        receive: (_tab, text) => asked.push(text),
        left: (tab) => left.push(tab),
      },
      onFollow: () => undefined,
    },
    events: {
      onOpen: () => undefined,
      onChanges: () => undefined,
      onHello: () => undefined,
      onMessage: () => undefined,
      onEnd: () => undefined,
    },
  });
  new TabGroup(shared.platformOf({}), "group", "one", clock.after).open(feedOf("one"));
  await settled();
  const two = {};
  const deliverLocks = shared.delayLocks(two);
  new TabGroup(shared.platformOf(two), "group", "two", clock.after).open(feedOf("two"));
  opened[0]?.onHello({ seq: 1, epoch: "e" });
  await settled();
  deliverLocks();
  await settled();
  expect(asked).toEqual(["what two shows"]);
  expect(left).toEqual([]);
  shared.end(two);
  await settled();
  expect(left).toEqual(["two"]);
});
