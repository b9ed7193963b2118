import { expect, test } from "bun:test";
import { currentOperation, runIn } from "../../observe/operation.ts";
import { ManualPlatform, turn } from "../../testing/manual-platform.ts";
import type { Transaction } from "../store.ts";
import { OutcomeUnknown, SharedTransactions, type SharedWork } from "./shared-transactions.ts";

// The store decides what work does with its transaction; here each piece only has a duration.
const TX: Transaction = Object.create(null);

class Groups {
  readonly platform = new ManualPlatform();
  readonly sizes: number[] = [];
  readonly alone: string[] = [];
  failure: Error | null = null;
  /** The duration of a commit, in milliseconds. */
  commitMs = 0;
  /** Whether transactions can begin. */
  isUp = true;
  /** The name of the work that fails whenever others share its transaction. */
  poisoned: string | null = null;
  /** The work that fails before its first statement. */
  broken: string | null = null;
  readonly ran: string[] = [];
  readonly shared = new SharedTransactions(
    (works, isOpen) => this.#run(works, isOpen),
    this.platform,
  );

  transact(name: string, ms = 0, kind = "kind", signal?: AbortSignal): Promise<string> {
    const work = async (): Promise<string> => {
      this.ran.push(name);
      if (name === this.broken) throw new Error("broken");
      if (name === this.poisoned && !this.alone.includes(name)) throw new Error("poisoned");
      this.platform.advance(ms);
      return Promise.resolve(name);
    };
    return this.shared.transact(kind, work, signal, async (it) => {
      this.alone.push(name);
      if (signal?.aborted === true) throw signal.reason;
      const result = await it(TX);
      this.platform.advance(this.commitMs);
      return result;
    });
  }

  async #run(works: readonly SharedWork[], isOpen: () => boolean): Promise<number> {
    let count = 0;
    if (!this.isUp) this.sizes.push(0);
    if (!this.isUp) throw new Error("The database can't be reached.");
    for (const { run, signal, failed } of works) {
      if (!isOpen()) break;
      signal?.throwIfAborted();
      await run(TX).catch((error: unknown) => {
        if (!String(error).includes("broken")) throw error;
        failed(error);
      });
      count += 1;
    }
    this.sizes.push(count);
    await turn();
    this.platform.advance(this.commitMs);
    if (this.failure !== null) throw this.failure;
    return count;
  }
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `w${n}`);

test("the first piece of its kind runs alone, later simultaneous ones share", async () => {
  const groups = new Groups();
  await groups.transact("first");
  const together = names(20).map((name) => groups.transact(name));
  expect(await Promise.all(together)).toEqual(names(20));
  expect(groups.alone).toEqual(["first"]);
  expect(groups.sizes).toEqual([10, 10]);
});

test("a kind whose latest work was long runs alone, until a piece was short again", async () => {
  const groups = new Groups();
  await groups.transact("first", 200);
  await groups.transact("second", 200);
  await groups.transact("third", 1);
  await Promise.all(["a", "b"].map((name) => groups.transact(name)));
  expect(groups.alone).toEqual(["first", "second", "third"]);
  expect(groups.sizes).toEqual([2]);
});

test("with slow commits, work that takes no longer than a commit shares transactions", async () => {
  const groups = new Groups();
  groups.commitMs = 80;
  await groups.transact("first", 60);
  await Promise.all(names(8).map((name) => groups.transact(name, 60)));
  expect(groups.sizes).toEqual([7]);
  // The disk is fast again: long work does not delay other work.
  groups.commitMs = 1;
  await Promise.all(["a", "b"].map((name) => groups.transact(name, 60)));
  await Promise.all(["c", "d"].map((name) => groups.transact(name, 60)));
  expect(groups.sizes).toEqual([7, 2]);
  expect(groups.alone).toEqual(["first", "w7", "c", "d"]);
});

test("a transaction that runs for long starts no further work, which then runs alone", async () => {
  const groups = new Groups();
  await groups.transact("first");
  const all = names(6).map((name) => groups.transact(name, name === "w2" ? 150 : 0));
  expect(await Promise.all(all)).toEqual(names(6));
  expect(groups.sizes).toEqual([3]);
  expect(groups.alone).toEqual(["first", "w3", "w4", "w5"]);
});

test("work for which a transaction had no time shares the next one", async () => {
  const groups = new Groups();
  await groups.transact("first");
  expect(await Promise.all(names(8).map((name) => groups.transact(name, 20)))).toEqual(names(8));
  expect(groups.sizes).toEqual([5, 3]);
});

test("a failing piece is found in a few steps, and the others still share", async () => {
  const groups = new Groups();
  await groups.transact("first");
  groups.poisoned = "w5";
  await Promise.all(names(8).map((name) => groups.transact(name)));
  expect(groups.sizes).toEqual([4, 2]);
  expect(groups.alone).toEqual(["first", "w4", "w5"]);
});

test("one that fails before its first statement is left out, and runs once", async () => {
  const groups = new Groups();
  await groups.transact("first");
  groups.broken = "w2";
  const ended = await Promise.allSettled(names(5).map((name) => groups.transact(name)));
  expect(ended.map((one) => (one.status === "rejected" ? String(one.reason) : one.value))).toEqual([
    "w0",
    "w1",
    "Error: broken",
    "w3",
    "w4",
  ]);
  expect([groups.sizes, groups.alone]).toEqual([[5], ["first"]]);
  // Where the others run again, it does not: it has been answered.
  groups.ran.length = 0;
  groups.poisoned = "w4";
  await Promise.allSettled(names(5).map((name) => groups.transact(name)));
  expect(groups.ran.filter((name) => name === "w2")).toEqual(["w2"]);
  expect(groups.alone).toEqual(["first", "w3", "w4"]);
});

test("after a failure each runs alone, and none when the outcome is not known", async () => {
  const groups = new Groups();
  await groups.transact("first");
  groups.failure = new Error("conflict");
  expect(await Promise.all(names(3).map((name) => groups.transact(name)))).toEqual(names(3));
  expect(groups.alone).toEqual(["first", ...names(3)]);
  groups.failure = new OutcomeUnknown("", { cause: new Error("lost") });
  const lost = await Promise.allSettled(names(3).map((name) => groups.transact(name)));
  expect(lost.map((one) => (one.status === "rejected" ? String(one.reason) : ""))).toEqual(
    names(3).map(() => "Error: lost"),
  );
  expect(groups.alone).toHaveLength(4);
});

test("if no transaction can begin, each piece runs alone immediately", async () => {
  const groups = new Groups();
  await groups.transact("first");
  groups.isUp = false;
  expect(await Promise.all(names(8).map((name) => groups.transact(name)))).toEqual(names(8));
  expect(groups.sizes).toEqual([0]);
  expect(groups.alone).toEqual(["first", ...names(8)]);
});

test("a piece aborted while it waits fails individually, and rolls back no other", async () => {
  const groups = new Groups();
  await groups.transact("first");
  const abort = new AbortController();
  const all = names(5).map((name) =>
    groups.transact(name, 0, "kind", name === "w2" ? abort.signal : undefined),
  );
  abort.abort(new Error("late"));
  const ended = await Promise.allSettled(all);
  expect(ended.map((one) => (one.status === "rejected" ? String(one.reason) : one.value))).toEqual([
    "w0",
    "w1",
    "Error: late",
    "w3",
    "w4",
  ]);
  expect([groups.sizes, groups.alone]).toEqual([[4], ["first", "w2"]]);
});

test("each piece runs in the context of its submitter", async () => {
  const groups = new Groups();
  await groups.transact("first");
  const where = (name: string): Promise<string | undefined> =>
    runIn({ requestId: name, where: name, span: null }, () =>
      groups.shared.transact(
        "kind",
        async () => Promise.resolve(currentOperation()?.where),
        undefined,
        (it) => it(TX),
      ),
    );
  expect(await Promise.all(names(4).map(where))).toEqual(names(4));
  expect(groups.sizes).toEqual([4]);
});
