import { expect, test } from "bun:test";
import fc from "fast-check";
import { SerialQueue } from "./serial-queue.ts";

test("work runs one at a time and in order, however long it takes and whatever fails", async () => {
  const jobs = fc.array(fc.record({ turns: fc.nat(4), fails: fc.boolean() }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(jobs, async (list) => {
      const queue = new SerialQueue();
      const began: number[] = [];
      let running = 0;
      const results = list.map(({ turns, fails }, index) =>
        queue.run(async () => {
          began.push(index);
          expect((running += 1)).toBe(1);
          for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
          running -= 1;
          if (fails) throw new Error(`job ${index}`);
          return index;
        }),
      );
      expect(began).toEqual([]);
      const outcomes = Promise.allSettled(results);
      await queue.settled();
      expect(began).toEqual(list.map((_, index) => index));
      expect(
        (await outcomes).map((outcome) =>
          outcome.status === "fulfilled" ? outcome.value : String(outcome.reason),
        ),
      ).toEqual(list.map(({ fails }, index) => (fails ? `Error: job ${index}` : index)));
    }),
  );
});

test("a synchronous throw is a failure like any other", async () => {
  const queue = new SerialQueue();
  const thrown = queue.run(() => {
    throw new Error("at once");
  });
  await expect(thrown).rejects.toThrow("at once");
  expect(await queue.run(() => "next")).toBe("next");
});
