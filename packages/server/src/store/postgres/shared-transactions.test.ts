import { expect, test } from "bun:test";
import { currentOperation, runIn } from "../../observe/operation.ts";
import { ManualPlatform, turn } from "../../testing/manual-platform.ts";
import type { Transaction } from "../store.ts";
import { OutcomeUnknown, SharedTransactions, type SharedWork } from "./shared-transactions.ts";

// What a work does with its transaction is up to the store; here it says how long it takes.
const TX: Transaction = Object.create(null);

class Groups {
  readonly platform = new ManualPlatform();
  readonly sizes: number[] = [];
  readonly alone: string[] = [];
  failure: Error | null = null;
  readonly shared = new SharedTransactions(
    (works, isOpen) => this.#run(works, isOpen),
    this.platform,
  );

  transact(name: string, ms = 0, kind = "kind"): Promise<string> {
    const work = async (): Promise<string> => {
      this.platform.advance(ms);
      return Promise.resolve(name);
    };
    return this.shared.transact(kind, work, undefined, (it) => {
      this.alone.push(name);
      return it(TX);
    });
  }

  async #run(works: readonly SharedWork[], isOpen: () => boolean): Promise<number> {
    let count = 0;
    for (const { run } of works) {
      if (!isOpen()) break;
      await run(TX);
      count += 1;
    }
    this.sizes.push(count);
    await turn();
    if (this.failure !== null) throw this.failure;
    return count;
  }
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `w${n}`);

test("the first of its kind runs alone, later ones that come together share", async () => {
  const groups = new Groups();
  await groups.transact("first");
  const together = names(20).map((name) => groups.transact(name));
  expect(await Promise.all(together)).toEqual(names(20));
  expect(groups.alone).toEqual(["first"]);
  expect(groups.sizes).toEqual([10, 10]);
});

test("a kind whose last work was long runs alone, until one was short again", async () => {
  const groups = new Groups();
  await groups.transact("first", 200);
  await groups.transact("second", 200);
  await groups.transact("third", 1);
  await Promise.all(["a", "b"].map((name) => groups.transact(name)));
  expect(groups.alone).toEqual(["first", "second", "third"]);
  expect(groups.sizes).toEqual([2]);
});

test("a transaction that runs for long begins no further work, which runs alone", async () => {
  const groups = new Groups();
  await groups.transact("first");
  const all = names(6).map((name) => groups.transact(name, name === "w2" ? 150 : 0));
  expect(await Promise.all(all)).toEqual(names(6));
  expect(groups.sizes).toEqual([3]);
  expect(groups.alone).toEqual(["first", "w3", "w4", "w5"]);
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

test("each runs as a part of what submitted it", async () => {
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
