import { MAX_GRAPH_ROWS } from "@pylonsync/protocol";
import { and, MAX_LIST_VALUES } from "@pylonsync/query";
import { rewind } from "../../policy/rewind.ts";
import type { Reader, StoredRow, Value } from "../../store/store.ts";
import type { CommitBatch } from "../commit-batch.ts";
import type { Delivery } from "../delivery.ts";
import { isOneOf, tooManyRelated } from "../position-reader.ts";
import type { SubscriptionRegistry } from "../subscriptions/registry.ts";
import type { Branch, Subscription } from "../subscriptions/subscription.ts";
import { checkOrder } from "./subscription-weight.ts";

/** The dependencies of IncludeTrees. */
export interface IncludeTreesOptions {
  readonly registry: SubscriptionRegistry;
  readonly delivery: Delivery;
  readonly now: () => number;
}

/** The rows of one branch of a tree. */
export interface BranchRows {
  readonly subscription: Subscription;
  readonly rows: readonly StoredRow[];
}

type Groups = Map<Value, StoredRow[]>;

/**
 * Keeps related rows consistent with the rows that refer to them. Both methods run as steps of the
 * feed's queue: the rows are read as of the feed's position.
 */
export class IncludeTrees {
  readonly #options: IncludeTreesOptions;

  constructor(options: IncludeTreesOptions) {
    this.#options = options;
  }

  /**
   * Reads all related rows, level by level, with one statement per relation.
   *
   * @throws PositionPassed, PylonError RESULT_TOO_LARGE
   */
  async begin(root: Subscription, reader: Reader): Promise<readonly BranchRows[]> {
    const all: BranchRows[] = [];
    for (const parent of root.parts)
      for (const branch of parent.branches) {
        const { subscription, rows } = branch;
        const keys = keysOf(parent, branch);
        const found = await this.#read(branch, keys, reader);
        this.#follow(branch, keys);
        rows.begin(found);
        checkOrder(rows);
        const shown = new Set([...rows.entries()].map(({ id }) => id));
        all.push({
          subscription,
          rows: [...found.values()].flat().filter(({ id }) => shown.has(id)),
        });
      }
    return all;
  }

  /**
   * Applies the effects of a batch on rows that refer to related rows: reads the related rows of
   * new ones, and those that replaced others in a window.
   *
   * @throws PositionPassed, PylonError RESULT_TOO_LARGE
   */
  async settle(root: Subscription, batch: CommitBatch, reader: Reader): Promise<void> {
    for (const parent of root.parts)
      for (const branch of parent.branches) {
        const { subscription, rows } = branch;
        // Only entries that changed refer to other rows, or lack some.
        if (parent.shown?.isChanged === false && !rows.isChanged) continue;
        const [former, keys] = [rows.keys, keysOf(parent, branch)];
        const gone = [...former].filter((key) => !keys.has(key));
        const lacking = rows.lacking.filter((key) => keys.has(key));
        const wanted = [...[...keys].filter((key) => !former.has(key)), ...lacking];
        if (gone.length + wanted.length === 0) continue;
        const found = await this.#read(branch, new Set(wanted), reader);
        this.#follow(branch, keys);
        for (const key of gone) rows.drop(key);
        for (const [key, all] of found) rows.refill(key, all);
        if (rows.size > MAX_GRAPH_ROWS) throw tooManyRelated();
        checkOrder(rows);
        batch.touch(subscription);
      }
  }

  /** Updates the keys by which changes find the subscription. */
  #follow({ subscription, rows }: Branch, keys: ReadonlySet<Value>): void {
    const { registry } = this.#options;
    for (const key of rows.keys) if (!keys.has(key)) registry.unwatchKey(subscription, key);
    for (const key of keys) registry.watchKey(subscription, key);
  }

  /** @returns the rows for each key, in order: one more than are shown, if there are that many */
  async #read(
    { subscription, query }: Branch,
    keys: ReadonlySet<Value>,
    reader: Reader,
  ): Promise<Groups> {
    const { delivery, now } = this.#options;
    const truth = subscription.truthAt(now());
    const { entity, order, field, limit } = query;
    const groups: Groups = new Map([...keys].map((key) => [key, []]));
    const all = [...keys];
    for (let start = 0; start < all.length; start += MAX_LIST_VALUES) {
      const isOfThese = isOneOf(field, all.slice(start, start + MAX_LIST_VALUES));
      const rows = await delivery.reader.with(reader).select({
        entity,
        condition: (later) => and(isOfThese, rewind(truth, later)),
        order,
        limit: limit === undefined ? undefined : limit + 1,
        perParent: field,
      });
      for (const row of rows) groups.get(row[field] ?? null)?.push(row);
    }
    return groups;
  }
}

/** The values of the referring field in the visible rows of a branch. */
function keysOf({ window, related }: Subscription, { query }: Branch): Set<Value> {
  const keys = new Set<Value>();
  for (const entry of window?.entries ?? related?.entries() ?? []) {
    const key = entry[query.key] ?? null;
    if (key !== null) keys.add(key);
  }
  return keys;
}
