import { MAX_LIVE_READS, PylonError } from "@pylonsync/protocol";
import { literal, nodesOf, path, TRUE, type Expr, type Order } from "@pylonsync/query";
import { isFull } from "../store/row-size.ts";
import type { Aggregate, Reader, Select, StoredRow, Value } from "../store/store.ts";

/** What was read of an entity. */
export interface LoggedRead {
  readonly entity: string;
  /** Reads `data` only. */
  readonly where: Expr;
  /**
   * `rows`: what is in the rows that meet the condition. `count`: only how many meet it.
   */
  readonly of: "rows" | "count";
  readonly order: readonly Order[];
  /** The read ended with this row: what comes after it in the order was not seen. */
  readonly last: StoredRow | null;
}

/**
 * Notes what is read through it, so that it can be told later whether a change of a row could have
 * changed an answer.
 */
export class ReadLog {
  readonly #reads = new Map<string, LoggedRead>();
  #excess: PylonError | null = null;

  /** There was more to note than there is room for: the notes are not all. */
  get excess(): PylonError | null {
    return this.#excess;
  }

  get reads(): readonly LoggedRead[] {
    return [...this.#reads.values()];
  }

  /** Forgets everything: the same work begins again. */
  clear(): void {
    this.#reads.clear();
    this.#excess = null;
  }

  /** A reader that notes what is asked of it. What fails is noted too. */
  watch(reader: Reader): Reader {
    return {
      get: (entity, id) => {
        this.#add({ ...WHOLE, entity, where: idIs(id) }, id);
        return reader.get(entity, id);
      },
      select: (query) => this.#select(reader, query),
      search: (query) => {
        this.#searched(query);
        return reader.search(query);
      },
      count: (entity, where = TRUE) => {
        this.#add({ ...WHOLE, entity, where, of: "count" });
        return reader.count(entity, where);
      },
      aggregate: (spec) => this.#aggregate(reader, spec),
      test: (expr) => {
        this.#addRelated(expr);
        return reader.test(expr);
      },
    };
  }

  async #select(reader: Reader, query: Select): Promise<StoredRow[]> {
    const { entity, where = TRUE, order = [], limit, offset = 0, maxBytes, perParent } = query;
    if (query.search !== undefined) {
      this.#searched(query);
      return reader.select(query);
    }
    const key = JSON.stringify([where, order, limit, offset, maxBytes, perParent]);
    const read: LoggedRead = { ...WHOLE, entity, where, order };
    this.#add(read, key);
    const through = perParent?.through;
    if (through !== undefined)
      this.#add({ ...WHOLE, entity: through.entity, where: through.where });
    const rows = await reader.select(query);
    const isCut = rows.length === limit || (maxBytes !== undefined && isFull(rows, maxBytes));
    // The rows of several parents are in one order, and each parent's end somewhere else.
    const last = perParent === undefined ? rows.at(-1) : undefined;
    if (isCut && last !== undefined) this.#add({ ...read, last }, key);
    return rows;
  }

  /** Which rows have its words, and which of them are the best, any of them may change. */
  #searched({ entity, where = TRUE }: Select): void {
    this.#add({ ...WHOLE, entity, where });
  }

  #aggregate(reader: Reader, spec: Aggregate): Promise<Record<string, Value>[]> {
    const { entity, where = TRUE } = spec;
    this.#add({ ...WHOLE, entity, where });
    return reader.aggregate(spec);
  }

  /** @param key what it is told from others by, of the same kind and entity */
  #add(read: LoggedRead, key = JSON.stringify(read.where)): void {
    const isPlain = this.#addRelated(read.where);
    const name = `${read.of} ${read.entity} ${key}`;
    if (!this.#reads.has(name) && this.#reads.size >= MAX_LIVE_READS)
      throw (this.#excess = new PylonError(
        "SUBSCRIPTION_LIMIT_REACHED",
        `A live function may make at most ${MAX_LIVE_READS} different reads per run.`,
        { hint: "Read several rows at once with a filter such as { id: { $in: ids } }." },
      ));
    // Which rows meet a condition on other rows is not known without them.
    this.#reads.set(name, isPlain ? read : { ...read, where: TRUE, last: null });
  }

  /** @returns whether the condition looks at no other rows */
  #addRelated(where: Expr): boolean {
    let isPlain = true;
    for (const node of nodesOf(where)) {
      if (node.kind !== "exists" && node.kind !== "hasRelated") continue;
      isPlain = false;
      this.#reads.set(`all ${node.entity}`, { ...WHOLE, entity: node.entity });
    }
    return isPlain;
  }
}

const WHOLE = { where: TRUE, of: "rows", order: [], last: null } as const;

function idIs(id: string): Expr {
  return { kind: "compare", op: "==", left: path("data", "id"), right: literal(id) };
}
