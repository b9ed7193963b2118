import { MAX_GRAPH_ROWS, MAX_RESULT_BYTES, PylonError } from "@pylonsync/protocol";
import {
  bind,
  type Expr,
  FALSE,
  isTrue,
  literal,
  nodesOf,
  type Order,
  path,
  rowComparator,
} from "@pylonsync/query";
import { resultTooLarge } from "../data/result-size.ts";
import { earlierRows, rewind, type EarlierRows } from "../policy/rewind.ts";
import { isFull } from "../store/row-size.ts";
import type { ChangeRecord, Reader, StoredRow, Value } from "../store/store.ts";

/** The maximum size of a condition, which names the related rows changed after the position. */
const MAX_NODES = 5_000;
const ATTEMPTS = 5;
/** Extra rows read beyond a limit: as many may turn out to be of a later time. */
const SPARE = 16;

/** The store is too far ahead of the position, or changes too fast, to read as of it. */
export class PositionPassed extends Error {
  override readonly name = "PositionPassed";
}

/** A selection of rows in their state at a position of the log. */
export interface PositionQuery {
  readonly entity: string;
  /** The condition, given the later changed rows in their state at the position. */
  readonly condition: (later: EarlierRows<StoredRow>) => Expr;
  readonly order?: readonly Order[] | undefined;
  readonly limit?: number | undefined;
  /** Selects the first `limit` rows for each value of this field. */
  readonly perParent?: string | undefined;
}

/**
 * Reads rows in their state at a position of the log, from a store that may contain later changes:
 * these are known, each with the row before it, and are reverted.
 */
export class PositionReader {
  readonly #reader: Reader;
  readonly #settle: () => Promise<void>;
  readonly #later: () => readonly ChangeRecord[];

  /**
   * @param settle resolves when `later` contains every change that was committed before the call
   * @param later the changes after the position, oldest first
   */
  constructor(reader: Reader, settle: () => Promise<void>, later: () => readonly ChangeRecord[]) {
    this.#reader = reader;
    this.#settle = settle;
    this.#later = later;
  }

  /** The same position with another reader. */
  with(reader: Reader): PositionReader {
    return new PositionReader(reader, this.#settle, this.#later);
  }

  /** Reads the rows that match a condition on `data`. */
  rows(entity: string, where: Expr, limit?: number): Promise<StoredRow[]> {
    return this.select({ entity, condition: (later) => rewind(where, later), limit });
  }

  /** @throws PositionPassed */
  async select(query: PositionQuery): Promise<StoredRow[]> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const rows = await this.#attempt(query);
      if (rows !== null) return rows;
    }
    throw new PositionPassed("Rows changed too fast to be read at a position of the log.");
  }

  async #attempt(query: PositionQuery): Promise<StoredRow[] | null> {
    const { entity, condition, order, limit, perParent } = query;
    const before = this.#earlierRows();
    const where = condition(before);
    if ([...nodesOf(where)].length > MAX_NODES)
      throw new PositionPassed("The store is too far ahead of a position of the log.");
    const spare = (before.get(entity)?.size ?? 0) + SPARE;
    const found = await this.#reader.select({
      entity,
      where,
      order,
      ...(limit === undefined
        ? {}
        : perParent === undefined
          ? { limit: limit + spare }
          : { perParent: { field: perParent, limit: limit + spare } }),
      ...(perParent === undefined ? {} : { limit: MAX_RELATED_ROWS, maxBytes: MAX_RESULT_BYTES }),
    });
    if (perParent !== undefined && found.length === MAX_RELATED_ROWS) throw tooManyRelated();
    if (perParent !== undefined && isFull(found, MAX_RESULT_BYTES)) throw resultTooLarge();
    await this.#settle();
    const later = this.#earlierRows();
    const touched = later.get(entity) ?? new Map<string, StoredRow | null>();
    const conditionThen = condition(later);
    // The related rows must have been reverted in the condition itself.
    if (!isSameForExists(where, before, later)) return null;
    const sizes = sizesOf(found, perParent);
    const isCut = limit !== undefined && sizes.some((size) => size === limit + spare);
    if (isCut && touched.size > spare) return null;
    const rows = found.filter(({ id }) => !touched.has(id));
    for (const row of touched.values())
      if (row !== null && (await this.#holds(conditionThen, row))) rows.push(row);
    if (touched.size === 0 && limit === undefined) return rows;
    if (touched.size > 0) rows.sort(rowComparator(order ?? []));
    return limit === undefined ? rows : firstOf(rows, limit, perParent);
  }

  async #holds(condition: Expr, row: StoredRow): Promise<boolean> {
    const bound = bind(condition, { data: row });
    return bound.kind === "literal" ? isTrue(bound) : this.#reader.test(bound);
  }

  #earlierRows(): EarlierRows<StoredRow> {
    return earlierRows(this.#later());
  }
}

/** The error for more related rows than can be kept up to date. */
const MAX_RELATED_ROWS = MAX_GRAPH_ROWS + 1;

/** There are more related rows than a subscription takes. */
export function tooManyRelated(): PylonError {
  return new PylonError(
    "RESULT_TOO_LARGE",
    `A subscription may include at most ${MAX_GRAPH_ROWS} rows of one relation.`,
    { hint: "Add a limit or a narrower where to the include." },
  );
}

/** The condition that a field has one of the values. */
export function isOneOf(field: string, values: Iterable<Value>): Expr {
  const items = [...values].flatMap((value) => (typeof value === "object" ? [] : [literal(value)]));
  if (items.length === 0) return FALSE;
  return { kind: "in", item: path("data", field), list: { kind: "list", items } };
}

/** How many rows were found, of each parent where they have such. */
function sizesOf(rows: readonly StoredRow[], perParent: string | undefined): readonly number[] {
  if (perParent === undefined) return [rows.length];
  const sizes = new Map<Value, number>();
  for (const row of rows) {
    const parent = row[perParent] ?? null;
    sizes.set(parent, (sizes.get(parent) ?? 0) + 1);
  }
  return [...sizes.values()];
}

/** The first rows, of each parent where they have such. */
function firstOf(rows: StoredRow[], limit: number, perParent: string | undefined): StoredRow[] {
  if (perParent === undefined) return rows.slice(0, limit);
  const counts = new Map<Value, number>();
  return rows.filter((row) => {
    const parent = row[perParent] ?? null;
    const count = (counts.get(parent) ?? 0) + 1;
    counts.set(parent, count);
    return count <= limit;
  });
}

/** Whether the same rows of the entities that the condition reads with `exists` were changed. */
function isSameForExists(where: Expr, a: EarlierRows, b: EarlierRows): boolean {
  for (const node of nodesOf(where)) {
    if (node.kind !== "exists") continue;
    if ((a.get(node.entity)?.size ?? 0) !== (b.get(node.entity)?.size ?? 0)) return false;
  }
  return true;
}
