import { LIVE_RUNS, PylonError } from "@pylonsync/protocol";
import { TRUE } from "@pylonsync/query";
import { expect, test } from "bun:test";
import { Subscriber } from "../../connections/subscriber.ts";
import type { LoggedRead } from "../../data/read-log.ts";
import { user } from "../../data/testing/app-data.ts";
import { ANONYMOUS_IDENTITY } from "../../identity/identity.ts";
import type { ChangeRecord } from "../../store/store.ts";
import { ManualPlatform, turn } from "../../testing/manual-platform.ts";
import { LiveConnection } from "../live/live-connection.ts";
import type { LiveCall, LiveFunctionCalls, LiveOutcome } from "./calls.ts";
import { LiveFunction } from "./live-function.ts";
import { LiveFunctions } from "./live-functions.ts";
import { queuesOf } from "../../connections/testing/queues-of.ts";

const ITEMS: LoggedRead = {
  entity: "Item",
  where: TRUE,
  of: "rows",
  order: [],
  fields: null,
  last: null,
};

/** A run that goes on until the test ends it. */
interface OpenRun extends LiveCall {
  readonly end: (outcome?: Partial<LiveOutcome>) => Promise<void>;
  readonly fail: () => Promise<void>;
}

/** Live functions whose runs, time and feed are the test's. */
class Bench {
  readonly platform = new ManualPlatform();
  readonly runs: OpenRun[] = [];
  readonly errors: unknown[] = [];
  readonly refused: unknown[] = [];
  position = 0;
  settle = (): Promise<void> => Promise.resolve();
  check: LiveFunctionCalls["check"] = () => ({ audience: "", isRead: false });
  count: LiveFunctionCalls["count"] = () => Promise.resolve();
  readonly functions: LiveFunctions;
  #numbers = 0;

  constructor() {
    const position = (): number => this.position;
    this.functions = new LiveFunctions({
      calls: {
        check: (...args) => this.check(...args),
        count: (...args) => this.count(...args),
        run: (call) => this.#run(call),
      },
      queue: {
        get position() {
          return position();
        },
        settle: () => this.settle(),
      },
      platform: this.platform,
      nextNumber: () => (this.#numbers += 1),
      onRefused: (connection, one, error) => {
        this.refused.push(error);
        for (const id of connection.idsOf(one)) connection.delete(id);
        this.functions.unsubscribe(connection, one);
      },
      onError: (error) => this.errors.push(error),
    });
  }

  #run(call: LiveCall): Promise<LiveOutcome> {
    return new Promise((resolve, reject) => {
      this.runs.push({
        ...call,
        end: (outcome = {}) => {
          resolve({
            result: `"${this.runs.length}"`,
            reads: [ITEMS],
            readsCaller: false,
            ...outcome,
          });
          return settled();
        },
        fail: () => {
          reject(new Error("the disk is gone"));
          return settled();
        },
      });
    });
  }

  get last(): OpenRun {
    const run = this.runs.at(-1);
    if (run === undefined) throw new Error("Nothing has run.");
    return run;
  }

  /** A row changes, and its change is delivered. */
  async change(entity = "Item"): Promise<void> {
    this.position += 1;
    const change: ChangeRecord = {
      seq: this.position,
      entity,
      rowId: "a",
      kind: "insert",
      before: null,
      after: { id: "a" },
      at: 0,
    };
    this.functions.onChange(change);
    this.functions.flush();
    await settled();
  }

  connect(userId = "ann"): Client {
    return new Client(this, userId);
  }
}

/** A connection, with what it is told. */
class Client {
  readonly texts: string[] = [];
  readonly connection: LiveConnection;
  readonly #bench: Bench;

  constructor(bench: Bench, userId: string) {
    this.#bench = bench;
    const outlet = {
      transport: "sse",
      write: (text: string) => {
        this.texts.push(text);
        return 0;
      },
      queued: () => 0,
      drained: () => Promise.resolve(),
      close: () => undefined,
      terminate: () => undefined,
      topics: null,
    } as const;
    const identity = { ...ANONYMOUS_IDENTITY, caller: user(userId) };
    this.connection = new LiveConnection(
      new Subscriber(identity, outlet, queuesOf(1_000_000), bench.platform, 2),
    );
  }

  async subscribe(id = 1, name = "f", args: Record<string, unknown> = {}): Promise<void> {
    this.#bench.functions.subscribe(this.connection, {
      type: "subscribe",
      id,
      function: name,
      args,
    });
    await settled();
  }

  leave(): void {
    for (const one of this.connection.subscriptions)
      if (one instanceof LiveFunction) this.#bench.functions.unsubscribe(this.connection, one);
  }

  /** The outcomes that it was told. */
  get told(): unknown[] {
    return this.texts.flatMap((text) => {
      const { type, value, code } = JSON.parse(text) as Record<string, unknown>;
      if (type === "joined") return [];
      return [type === "result" ? value : code];
    });
  }
}

/** Lets everything run that waits for no timer. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 3; turns += 1) await turn();
}

const OVERLOADED = new PylonError("OVERLOADED", "Too many reads wait.");

test("however many changes come during a run, one run follows", async () => {
  const bench = new Bench();
  const client = bench.connect();
  await client.subscribe();
  for (let change = 0; change < 5; change += 1) await bench.change();
  expect(bench.runs.length).toBe(1);
  await bench.last.end();
  bench.platform.advance(1000);
  await settled();
  expect(bench.runs.length).toBe(2);
  await bench.last.end();
  expect(client.told).toEqual(["1", "2"]);
  await bench.change("Other");
  bench.platform.advance(1000);
  await settled();
  expect(bench.runs.length).toBe(2);
});

test("a run is not repeated for changes of what it did not read", async () => {
  const bench = new Bench();
  await bench.connect().subscribe();
  await bench.change("Other");
  await bench.last.end();
  bench.platform.advance(1000);
  await settled();
  expect(bench.runs.length).toBe(1);
});

test("one function runs at most so often in a second", async () => {
  const bench = new Bench();
  await bench.connect().subscribe();
  await bench.last.end();
  const interval = 1000 / LIVE_RUNS.perSecond;
  for (let elapsed = 0; elapsed < 1000; elapsed += interval / 4) {
    await bench.change();
    const { length } = bench.runs;
    await bench.last.end({ result: `${length}` });
    bench.platform.advance(interval / 4);
  }
  expect(bench.runs.length).toBeLessThanOrEqual(LIVE_RUNS.perSecond + 1);
  expect(bench.runs.length).toBeGreaterThan(LIVE_RUNS.perSecond / 2);
});

test("all functions together run at most so many at once", async () => {
  const bench = new Bench();
  const client = bench.connect();
  for (let id = 0; id < LIVE_RUNS.atOnce + 3; id += 1) await client.subscribe(id, "f", { id });
  expect(bench.runs.length).toBe(LIVE_RUNS.atOnce);
  await bench.runs[0]?.end();
  expect(bench.runs.length).toBe(LIVE_RUNS.atOnce + 1);
});

test("one that subscribes during a run that a change overtook is told by the next", async () => {
  const bench = new Bench();
  const [early, late] = [bench.connect(), bench.connect()];
  await early.subscribe();
  await bench.change();
  await late.subscribe();
  await bench.last.end();
  expect([early.told, late.told]).toEqual([["1"], []]);
  bench.platform.advance(1000);
  await settled();
  await bench.last.end();
  expect([early.told, late.told]).toEqual([["1", "2"], ["2"]]);
  const third = bench.connect();
  await third.subscribe();
  expect([third.told, bench.runs.length]).toEqual([["2"], 2]);
});

test("a subscriber is told nothing older than what was committed before", async () => {
  const bench = new Bench();
  await bench.connect().subscribe();
  await bench.last.end();
  bench.platform.advance(1000);
  // It is committed, and the feed has not delivered it yet.
  let deliver = (): void => undefined;
  bench.settle = () => new Promise((resolve) => (deliver = resolve));
  const late = bench.connect();
  await late.subscribe();
  expect(late.told).toEqual([]);
  await bench.change();
  bench.settle = () => Promise.resolve();
  deliver();
  await settled();
  await bench.last.end();
  expect(late.told).toEqual(["2"]);
});

test("the same result is told once, and to those that come later", async () => {
  const bench = new Bench();
  const client = bench.connect();
  await client.subscribe();
  await bench.last.end({ result: "7" });
  bench.platform.advance(1000);
  await bench.change();
  await bench.last.end({ result: "7" });
  expect([client.told, bench.runs.length]).toEqual([[7], 2]);
});

test("a result that compares as equal is not told again", async () => {
  const bench = new Bench();
  const client = bench.connect();
  await client.subscribe();
  await bench.last.end({ result: "[7,1]", compared: "7" });
  bench.platform.advance(1000);
  await bench.change();
  await bench.last.end({ result: "[7,2]", compared: "7" });
  bench.platform.advance(1000);
  await bench.change();
  await bench.last.end({ result: "[8,3]", compared: "8" });
  expect(client.told).toEqual([
    [7, 1],
    [8, 3],
  ]);
});

test("a run names the pause before the next one", async () => {
  const bench = new Bench();
  await bench.connect().subscribe();
  await bench.last.end({ pauseMs: 500 });
  await bench.change();
  bench.platform.advance(499);
  await settled();
  expect(bench.runs.length).toBe(1);
  bench.platform.advance(1);
  await settled();
  expect(bench.runs.length).toBe(2);
});

test("callers of another audience have a run of their own", async () => {
  const bench = new Bench();
  bench.check = (_name, _args, { userId }) => ({ audience: userId ?? "", isRead: true });
  const [ann, bob, again] = [bench.connect("ann"), bench.connect("bob"), bench.connect("ann")];
  for (const client of [ann, bob, again]) await client.subscribe();
  expect(bench.runs.map(({ caller }) => caller.userId)).toEqual(["ann", "bob"]);
  await bench.runs[0]?.end({ result: "1" });
  await bench.runs[1]?.end({ result: "2" });
  expect([ann.told, bob.told, again.told]).toEqual([[1], [2], [1]]);
});

test("reads do not wait for the turns of functions, nor functions for those of reads", async () => {
  const bench = new Bench();
  bench.check = (name) => ({ audience: "", isRead: name === "$read" });
  for (let n = 0; n < 2 * LIVE_RUNS.atOnce; n += 1) {
    await bench.connect().subscribe(1, "$read", { n });
    await bench.connect().subscribe(1, "f", { n });
  }
  const begun = Object.groupBy(bench.runs, ({ name }) => name);
  expect([begun["$read"]?.length, begun["f"]?.length]).toEqual([
    LIVE_RUNS.readsPerCaller,
    LIVE_RUNS.atOnce,
  ]);
});

test("of the reads of one caller a few run at once, and those of others go on", async () => {
  const bench = new Bench();
  bench.check = (_name, { n }) => ({ audience: String(n), isRead: true });
  const ann = bench.connect("ann");
  for (let n = 0; n < LIVE_RUNS.readsAtOnce; n += 1) await ann.subscribe(n + 1, "$read", { n });
  await bench.connect("bob").subscribe(1, "$read", { n: "of bob" });
  const callers = (): (string | null)[] => bench.runs.map(({ caller }) => caller.userId);
  expect(callers()).toEqual([...Array(LIVE_RUNS.readsPerCaller).fill("ann"), "bob"]);
  await bench.runs[0]?.end({ result: "1" });
  expect(callers().slice(LIVE_RUNS.readsPerCaller)).toEqual(["bob", "ann"]);
  expect(ann.told).toEqual([1]);
});

test("a large result is not kept: later subscribers get a run of their own", async () => {
  const bench = new Bench();
  const [early, late] = [bench.connect(), bench.connect()];
  const large = JSON.stringify("x".repeat(70_000));
  await early.subscribe();
  await bench.last.end({ result: large });
  bench.platform.advance(1000);
  await late.subscribe();
  expect([bench.runs.length, late.told]).toEqual([2, []]);
  await bench.last.end({ result: large });
  expect([early.told.length, late.told.length]).toEqual([1, 1]);
  bench.platform.advance(1000);
  await bench.change();
  await bench.last.end({ result: JSON.stringify("y".repeat(70_000)) });
  expect([early.told.length, late.told.length]).toEqual([2, 2]);
});

test("nothing is told before the feed has delivered what a run may have seen", async () => {
  const bench = new Bench();
  const client = bench.connect();
  await client.subscribe();
  let deliver = (): void => undefined;
  bench.settle = () => new Promise((resolve) => (deliver = resolve));
  await bench.last.end();
  expect(client.told).toEqual([]);
  // Its session turns out to have ended.
  client.leave();
  deliver();
  await settled();
  expect(client.told).toEqual([]);
});

test("a run that could not be made is made again after a pause, longer each time", async () => {
  const bench = new Bench();
  const client = bench.connect();
  await client.subscribe();
  const pauses: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    const { length } = bench.runs;
    await (round % 2 === 0 ? bench.last.end({ result: OVERLOADED }) : bench.last.fail());
    let waited = 0;
    for (; bench.runs.length === length; waited += 500) {
      bench.platform.advance(500);
      await settled();
    }
    pauses.push(waited);
  }
  expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  await bench.last.end({ result: "1" });
  expect(client.told).toEqual(["OVERLOADED", 1]);
  expect(bench.errors.length).toBe(4);
});

test("a change of what it read ends such a pause", async () => {
  const bench = new Bench();
  await bench.connect().subscribe();
  await bench.last.end({ result: OVERLOADED });
  bench.platform.advance(50);
  await bench.change();
  expect(bench.runs.length).toBe(2);
  await bench.last.end();
  bench.platform.advance(60_000);
  await settled();
  expect(bench.runs.length).toBe(2);
});

test("once a run looks at who calls, each user gets runs of their own", async () => {
  const bench = new Bench();
  const [ann, again, bob] = [bench.connect("ann"), bench.connect("ann"), bench.connect("bob")];
  for (const client of [ann, again, bob]) await client.subscribe();
  expect(bench.runs.map(({ caller }) => caller.userId)).toEqual(["ann"]);
  await bench.last.end({ result: '"ann"', readsCaller: true });
  expect([ann.told, again.told, bob.told]).toEqual([["ann"], ["ann"], []]);
  expect(bench.runs.map(({ caller }) => caller.userId)).toEqual(["ann", "bob"]);
  await bench.last.end({ result: '"bob"', readsCaller: true });
  expect(bob.told).toEqual(["bob"]);
  const numbers = bob.texts.map((text) => (JSON.parse(text) as { readonly sub: number }).sub);
  expect(numbers).toEqual([1, 2, 2]);
  const later = bench.connect("bob");
  await later.subscribe();
  expect([later.told, bench.functions.size]).toEqual([["bob"], 2]);
});

test("when nobody is left, the run is aborted and nothing is kept", async () => {
  const bench = new Bench();
  const client = bench.connect();
  await client.subscribe();
  expect(bench.last.signal.aborted).toBe(false);
  client.leave();
  expect([bench.last.signal.aborted, bench.functions.size]).toEqual([true, 0]);
  await bench.last.end();
  await bench.change();
  bench.platform.advance(60_000);
  await settled();
  expect([bench.runs.length, bench.platform.timers, client.told]).toEqual([1, 0, []]);
  const idle = bench.connect();
  await idle.subscribe();
  await bench.last.end();
  expect(bench.functions.isEmpty).toBe(false);
  idle.leave();
  expect(bench.functions.isEmpty).toBe(true);
});

test("a caller that may not have another run is refused, and the others go on", async () => {
  const bench = new Bench();
  bench.count = () => Promise.reject(new PylonError("RATE_LIMITED", "Too many."));
  const [one, other] = [bench.connect(), bench.connect()];
  await one.subscribe();
  expect([bench.refused.length, bench.runs.length, bench.functions.size]).toEqual([1, 0, 0]);
  bench.count = () => Promise.resolve();
  await other.subscribe();
  await bench.last.end();
  expect([one.told, other.told]).toEqual([[], ["1"]]);
});

test("arguments that mean the same are one function", async () => {
  const bench = new Bench();
  const client = bench.connect();
  await client.subscribe(1, "f", { a: 1, b: { c: 2, d: 3 } });
  await client.subscribe(2, "f", { b: { d: 3, c: 2 }, a: 1 });
  await client.subscribe(3, "f", { a: 2 });
  expect([bench.functions.size, bench.runs.length]).toEqual([2, 2]);
});

test("other code runs again, whatever has changed", async () => {
  const bench = new Bench();
  await bench.connect().subscribe();
  await bench.last.end({ reads: [] });
  bench.platform.advance(1000);
  bench.functions.rerunAll();
  await settled();
  expect(bench.runs.length).toBe(2);
});
