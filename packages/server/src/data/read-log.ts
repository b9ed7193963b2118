import { MAX_LIVE_READS, PylonError } from "@pylonsync/protocol";
import { and, literal, nodesOf, path, TRUE, type Expr, type Order } from "@pylonsync/query";
import { isFull } from "../store/row-size.ts";
import type { Aggregate, Reader, Select, StoredRow, Value } from "../store/store.ts";

/** A read of an entity's rows. */
export interface LoggedRead {
  readonly entity: string;
  /** A condition that uses `data` only, and not the time. */
  readonly where: Expr;
  /** `rows`: the content of the rows that match the condition. `count`: only their number. */
  readonly of: "rows" | "count";
  readonly order: readonly Order[];
  /** The only fields of the rows that are read, beside those of the condition; null: all. */
  readonly fields: readonly string[] | null;
  /** The last row of the read: the rows after it in the order were not seen. */
  readonly last: StoredRow | null;
}

/**
 * Records the reads that are made through it, to determine later whether a change of a row could
 * have changed a result.
 */
export class ReadLog {
  readonly #reads = new Map<string, LoggedRead>();
  #excess: PylonError | null = null;
  #isTimed = false;

  /** The error if there were more reads than fit: then the log is incomplete. */
  get excess(): PylonError | null {
    return this.#excess;
  }

  /** Whether a condition depends on the time: the same read may find other rows later. */
  get isTimed(): boolean {
    return this.#isTimed;
  }

  get reads(): readonly LoggedRead[] {
    return [...this.#reads.values()];
  }

  /** Clears the log: the same work starts again. */
  clear(): void {
    this.#reads.clear();
    this.#excess = null;
    this.#isTimed = false;
  }

  /** Returns a reader that records its reads, including failed ones. */
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
    // The rows of several parents are in one list, and the rows of each parent end at a different
    // row.
    const last = perParent === undefined ? rows.at(-1) : undefined;
    if (isCut && last !== undefined) this.#add({ ...read, last }, key);
    return rows;
  }

  /**
   * A change of any row may change which rows match and rank best, so the read counts as one of all
   * rows.
   */
  #searched({ entity, where = TRUE }: Select): void {
    this.#add({ ...WHOLE, entity, where });
  }

  #aggregate(reader: Reader, spec: Aggregate): Promise<Record<string, Value>[]> {
    const { entity, where = TRUE, groupBy, measures, search } = spec;
    const used = [
      ...groupBy.map(({ field, related }) => related?.key ?? field),
      ...measures.flatMap(({ field }) => field ?? []),
    ];
    // A search depends on the text of the rows.
    const fields = search === undefined ? [...new Set(used)].toSorted() : null;
    this.#add({ ...WHOLE, entity, where, fields }, JSON.stringify([where, fields]));
    for (const { related } of groupBy)
      if (related !== undefined) {
        this.#addRelated(related.where);
        this.#add({ ...WHOLE, entity: related.entity });
      }
    return reader.aggregate(spec);
  }

  /** @param key identifies it among reads of the same kind and entity */
  #add(read: LoggedRead, key = JSON.stringify(read.where)): void {
    const isPlain = this.#addRelated(read.where);
    const name = `${read.of} ${read.entity} ${key}`;
    if (!this.#reads.has(name) && this.#reads.size >= MAX_LIVE_READS)
      throw (this.#excess = new PylonError(
        "SUBSCRIPTION_LIMIT_REACHED",
        `A live function may make at most ${MAX_LIVE_READS} different reads per run.`,
        { hint: "Read several rows at once with a filter such as { id: { $in: ids } }." },
      ));
    // Without the other rows it is not known which rows match a condition on them.
    this.#reads.set(
      name,
      isPlain ? atAnyTime(read) : { ...read, where: TRUE, fields: null, last: null },
    );
  }

  /** @returns whether the condition looks at no other rows */
  #addRelated(where: Expr): boolean {
    let isPlain = true;
    for (const node of nodesOf(where)) {
      if (node.kind === "now") this.#isTimed = true;
      if (node.kind !== "exists" && node.kind !== "hasRelated") continue;
      isPlain = false;
      this.#reads.set(`all ${node.entity}`, { ...WHOLE, entity: node.entity });
    }
    return isPlain;
  }
}

const WHOLE = { where: TRUE, of: "rows", order: [], fields: null, last: null } as const;

/** A read of all rows that its condition, if it depends on the time, matches now or later. */
function atAnyTime(read: LoggedRead): LoggedRead {
  if (!usesTime(read.where)) return read;
  const items = read.where.kind === "and" ? read.where.items : [read.where];
  const where = and(...items.filter((item) => !usesTime(item)));
  // A row that stays in it, and its fields that are not read, may affect the omitted conditions.
  return { ...read, where, of: "rows", fields: null };
}

function usesTime(where: Expr): boolean {
  for (const { kind } of nodesOf(where)) if (kind === "now") return true;
  return false;
}

function idIs(id: string): Expr {
  return { kind: "compare", op: "==", left: path("data", "id"), right: literal(id) };
}
