import { expect, test } from "bun:test";
import type { PushResult } from "@pylonsync/protocol";
import fc from "fast-check";
import type { MutationError } from "../connection/errors.ts";
import { MutationQueue, type EndOfMutation, type PendingMutation } from "./mutation-queue.ts";

type Entry = Omit<PendingMutation, "status">;
type Fate = "applied" | "refused" | "silent";
type Step =
  | {
      readonly do: "add";
      readonly row: string;
      readonly kind: "insert" | "update";
      readonly user: string | null | undefined;
    }
  | { readonly do: "load"; readonly places: readonly number[] }
  | { readonly do: "answer"; readonly fates: readonly Fate[]; readonly ahead: number }
  | { readonly do: "release"; readonly seq: number }
  | { readonly do: "forget"; readonly places: readonly number[] }
  | { readonly do: "claim"; readonly witness: string }
  | { readonly do: "dropForeign" | "dropOf"; readonly user: string | null }
  | { readonly do: "dropAll" | "dropUnknown" };

const users = fc.constantFrom("u1", "u2", null);
const places = fc.array(fc.nat(8), { maxLength: 3 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("add" as const),
        row: fc.constantFrom("1", "2"),
        kind: fc.constantFrom("insert" as const, "update" as const),
        user: fc.oneof(users, fc.constant(undefined)),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("answer" as const),
        fates: fc.array(fc.constantFrom<Fate>("applied", "refused", "silent"), { maxLength: 4 }),
        ahead: fc.nat(2),
      }),
    },
    fc.record({ do: fc.constant("load" as const), places }),
    fc.record({ do: fc.constant("release" as const), seq: fc.nat(10) }),
    fc.record({ do: fc.constant("forget" as const), places }),
    fc.record({ do: fc.constant("claim" as const), witness: fc.constantFrom("w1", "w2") }),
    fc.record({ do: fc.constantFrom("dropForeign" as const, "dropOf" as const), user: users }),
    fc.record({ do: fc.constantFrom("dropAll" as const, "dropUnknown" as const) }),
  ),
  { maxLength: 16 },
);

/** A queue with all of the events about its entries. */
class Watched {
  readonly queue = new MutationQueue();
  readonly added: string[] = [];
  /** What the server has reported as committed. */
  readonly applied = new Set<string>();
  readonly ended = new Map<string, EndOfMutation>();
  readonly outcomes = new Map<string, "resolved" | "rejected">();
  readonly told: MutationError[] = [];
  #number = 0;
  #seq = 0;

  constructor() {
    this.queue.onEnd(({ ids, why }) => {
      for (const id of ids) {
        expect(this.ended.has(id)).toBe(false);
        expect(this.queue.all().some((entry) => entry.id === id)).toBe(false);
        this.ended.set(id, why);
      }
    });
    this.queue.onRefused((error) => this.told.push(error));
  }

  take(step: Step): void {
    const { queue } = this;
    switch (step.do) {
      case "add":
        queue.add(this.#entry(step.row, step.kind, step.user));
        return this.#watch();
      case "load": {
        const known = step.places.flatMap((place) => queue.pending()[place] ?? []);
        queue.load([...new Set(known), this.#entry("9", "update", "u1")]);
        return this.#watch();
      }
      case "answer": {
        this.#seq += step.ahead;
        const results = queue.pending().flatMap(({ id }, place): PushResult[] => {
          const fate = step.fates[place] ?? "silent";
          if (fate === "applied") this.applied.add(id);
          return fate === "silent" ? [] : [{ op_id: id, status: fate }];
        });
        return queue.answer(results, this.#seq, this.#seq - step.ahead);
      }
      case "release":
        return queue.release(step.seq);
      case "forget":
        return queue.forget(
          new Set(step.places.flatMap((place) => queue.all()[place]?.id ?? "none")),
        );
      case "claim":
        return queue.claim("u1", step.witness);
      case "dropForeign":
        return queue.dropForeign(step.user);
      case "dropOf":
        return queue.dropOf(step.user);
      case "dropAll":
        return queue.dropAll();
      case "dropUnknown":
        return queue.dropUnknown();
    }
  }

  #entry(row: string, kind: "insert" | "update", userId: string | null | undefined): Entry {
    this.#number += 1;
    const id = `op${this.#number}`;
    this.added.push(id);
    const change = { entity: "Todo", row_id: row, kind, data: {}, op_id: id };
    return { id, change, userId, witness: this.#number % 2 === 0 ? "w1" : "w2" };
  }

  /** Records the outcome of the newest write. */
  #watch(): void {
    const id = this.added.at(-1) ?? "";
    void this.queue.settled(id).then(
      () => this.outcomes.set(id, "resolved"),
      () => this.outcomes.set(id, "rejected"),
    );
  }
}

test("every write is queued or has ended once, and its caller learns the outcome", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const watched = new Watched();
      const { queue, ended, outcomes, applied } = watched;
      for (const step of all) {
        watched.take(step);
        await new Promise(setImmediate);
        const left = queue.all().map(({ id }) => id);
        expect([...left, ...ended.keys()].toSorted()).toEqual(watched.added.toSorted());
        for (const { id, status } of queue.all())
          expect([id, outcomes.get(id)]).toEqual([
            id,
            status === "applied" ? "resolved" : undefined,
          ]);
        for (const [id, why] of ended) {
          const isGood = why === "applied" || why === "elsewhere" || applied.has(id);
          expect([id, why, outcomes.get(id)]).toEqual([id, why, isGood ? "resolved" : "rejected"]);
          // A write that the server has committed was not rejected.
          if (applied.has(id)) expect(["applied", "dropped"]).toContain(why);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("writes stay in their order, and a rejection is reported once", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const watched = new Watched();
      for (const step of all.filter((one) => one.do !== "load")) {
        watched.take(step);
        const left = new Set(watched.queue.all().map(({ id }) => id));
        expect([...left]).toEqual(watched.added.filter((id) => left.has(id)));
        expect(watched.queue.pending()).toEqual(
          watched.queue.all().filter(({ status }) => status === "pending"),
        );
      }
      expect(new Set(watched.told).size).toBe(watched.told.length);
      expect(watched.told.length).toBeLessThanOrEqual(watched.ended.size);
    }),
  );
});

test("no writes of another user remain after a change of the user", () => {
  fc.assert(
    fc.property(steps, users, fc.constantFrom("w1", "w2"), (all, user, witness) => {
      const watched = new Watched();
      const { queue } = watched;
      for (const step of all) watched.take(step);
      queue.claim(user, witness);
      queue.dropForeign(user);
      for (const entry of queue.all()) {
        expect(entry.userId).toBe(user);
      }
      queue.dropOf(user);
      expect(queue.all()).toEqual([]);
    }),
  );
});

test("writes found on disk are in order, before those that are only in memory", () => {
  const entry = (id: string): Entry => ({
    id,
    userId: "u1",
    change: { entity: "Todo", row_id: id, kind: "update", op_id: id },
  });
  const ids = ["a", "b", "c", "d", "e"];
  fc.assert(
    fc.property(fc.subarray(ids), fc.shuffledSubarray(ids), (here, found) => {
      const queue = new MutationQueue();
      for (const id of here) queue.add(entry(id));
      queue.load(found.map(entry));
      const expected = found.some((id) => !here.includes(id))
        ? [...found, ...here.filter((id) => !found.includes(id))]
        : here;
      expect(queue.all().map(({ id }) => id)).toEqual(expected);
    }),
  );
});
