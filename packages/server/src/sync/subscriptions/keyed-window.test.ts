import { type Order, rowComparator } from "@pylonsync/query";
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow, Value } from "../../store/store.ts";
import { KeyedWindow } from "./keyed-window.ts";

// Comments of posts, of each post the first ones, against a list of all comments that is sorted and
// cut again after each change.

const ORDER: readonly Order[] = [{ field: "n", direction: "asc" }];
const POSTS = ["p", "q", "r"];
const IDS = ["a", "b", "c", "d", "e", "f", "g", "h"];

interface Comment extends StoredRow {
  readonly postId: string;
  readonly n: number;
  readonly text: string;
}

const comment: fc.Arbitrary<Comment> = fc.record({
  id: fc.constantFrom(...IDS),
  postId: fc.constantFrom(...POSTS),
  n: fc.integer({ min: 0, max: 3 }),
  text: fc.constantFrom("x", "y"),
});
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ put: comment }) },
  { weight: 2, arbitrary: fc.record({ remove: fc.constantFrom(...IDS) }) },
  { weight: 1, arbitrary: fc.record({ toggle: fc.constantFrom(...POSTS) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The window beside all comments. */
class Model {
  readonly window: KeyedWindow;
  readonly #limit: number | undefined;
  readonly #comments = new Map<string, Comment>();
  readonly #shownPosts = new Set<string>(["p"]);

  constructor(limit: number | undefined) {
    this.#limit = limit;
    this.window = new KeyedWindow({ field: "postId", order: ORDER, limit, kept: [] });
    this.window.begin(new Map([["p", []]]));
  }

  apply(one: Step): void {
    if ("put" in one) this.#put(one.put);
    else if ("remove" in one) this.#remove(one.remove);
    else this.#toggle(one.toggle);
  }

  /** Reads the rows that windows lack, as the server does after each commit. */
  refill(): void {
    for (const key of this.window.lacking) this.window.refill(key, this.#of(key));
  }

  shown(): Comment[] {
    return [...this.#shownPosts].flatMap((post) => this.#of(post).slice(0, this.#limit));
  }

  #put(row: Comment): void {
    this.#comments.set(row.id, row);
    if (this.#shownPosts.has(row.postId)) this.window.put(row);
    else this.window.remove(row.id);
  }

  #remove(id: string): void {
    this.#comments.delete(id);
    this.window.remove(id);
  }

  #toggle(post: string): void {
    if (this.#shownPosts.delete(post)) return this.window.drop(post);
    this.#shownPosts.add(post);
    this.window.refill(post, this.#of(post));
  }

  #of(post: Value): Comment[] {
    return [...this.#comments.values()]
      .filter(({ postId }) => postId === post)
      .toSorted(rowComparator(ORDER));
  }
}

const storedOf = (rows: readonly StoredRow[]): string[] =>
  rows.map(({ id, n }) => `${id} ${String(n)}`).toSorted();
const idsOf = (rows: readonly StoredRow[]): string[] => rows.map(({ id }) => id).toSorted();

test("a keyed window shows the first rows of each key, and tells what has changed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 15 }),
      fc.constantFrom(1, 2, undefined),
      (commits, limit) => {
        const model = new Model(limit);
        const { window } = model;
        let before: Comment[] = [];
        for (const commit of commits) {
          for (const one of commit) model.apply(one);
          model.refill();
          const now = model.shown();
          expect(storedOf([...window.entries()])).toEqual(storedOf(now));
          if (!Bun.deepEquals(storedOf(now), storedOf(before))) expect(window.isChanged).toBe(true);
          const { entered, stayed, left } = window.flush();
          const wasIn = new Set(idsOf(before));
          const isIn = new Set(idsOf(now));
          expect(left.toSorted()).toEqual([...wasIn].filter((id) => !isIn.has(id)).toSorted());
          // A row that went from one key to another counts as new.
          for (const id of isIn) if (!wasIn.has(id)) expect(idsOf(entered)).toContain(id);
          const told = new Map([...entered, ...stayed].map((row) => [row.id, row]));
          for (const row of now) {
            const former = before.find(({ id }) => id === row.id);
            if (!Bun.deepEquals(former, row)) expect(told.get(row.id)).toEqual(row);
            expect(window.has(row.id)).toBe(true);
          }
          for (const id of left) expect(window.has(id)).toBe(false);
          expect([window.isChanged, window.flush()]).toEqual([
            false,
            { entered: [], stayed: [], left: [] },
          ]);
          before = now;
        }
      },
    ),
    { numRuns: 500 },
  );
});
