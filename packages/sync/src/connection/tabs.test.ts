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

/** What tabs with single queries do. */
interface QueryTabs {
  readonly opened: TransportEvents[];
  readonly asked: string[];
  readonly left: string[];
}

/** @param whenReady calls its argument once the tab can serve others */
function queryFeed(
  name: string,
  { opened, asked, left }: QueryTabs,
  whenReady: (run: () => void) => void = (run) => run(),
): TabFeed {
  return {
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
        whenReady,
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
  };
}

test("a leader offers its rows once it can serve them; until then others connect", async () => {
  const clock = new Clock();
  const shared = new SharedTabs();
  const all: QueryTabs = { opened: [], asked: [], left: [] };
  let ready: () => void = () => undefined;
  const feed = queryFeed("one", all, (run) => {
    ready = run;
  });
  new TabGroup(shared.platformOf({}), "group", "one", clock.after).open(feed);
  await settled();
  all.opened[0]?.onHello({ seq: 1, epoch: "e" });
  new TabGroup(shared.platformOf({}), "group", "two", clock.after).open(queryFeed("two", all));
  await settled();
  expect([all.asked, all.opened.length]).toEqual([[], 1]);
  // It knows that there is a leader, and waits longer.
  await clock.pass(3_000);
  expect([all.asked, all.opened.length]).toEqual([[], 1]);
  await clock.pass(1_000);
  expect([all.asked, all.opened.length]).toEqual([[], 2]);
  ready();
  new TabGroup(shared.platformOf({}), "group", "three", clock.after).open(queryFeed("three", all));
  await settled();
  ready();
  await settled();
  expect([all.asked, all.opened.length]).toEqual([["what three shows"], 2]);
});

test("a tab does not count as closed while its lock is being acquired", async () => {
  const clock = new Clock();
  const shared = new SharedTabs();
  const all: QueryTabs = { opened: [], asked: [], left: [] };
  const { opened, asked, left } = all;
  new TabGroup(shared.platformOf({}), "group", "one", clock.after).open(queryFeed("one", all));
  await settled();
  const two = {};
  const deliverLocks = shared.delayLocks(two);
  new TabGroup(shared.platformOf(two), "group", "two", clock.after).open(queryFeed("two", all));
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
