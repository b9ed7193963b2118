import { MAX_GRAPH_ROWS, PylonError } from "@pylonsync/protocol";
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
import { formerRows, rewind, type FormerRows } from "../policy/rewind.ts";
import type { ChangeRecord, Reader, StoredRow, Value } from "../store/store.ts";

/** Largest question: it names the related rows that changed after the position. */
const MAX_NODES = 5_000;
const ATTEMPTS = 5;
/** Rows that are read beyond a limit: so many may turn out to be of a later time. */
const SPARE = 16;

/** The store is too far ahead of the position, or moves too fast, for a read as of it. */
export class PositionPassed extends Error {
  override readonly name = "PositionPassed";
}

/** Which rows are read as they were at a position of the log. */
export interface PositionQuery {
  readonly entity: string;
  /** What a row must meet, given the rows that were changed later, as they were at the position. */
  readonly condition: (later: FormerRows<StoredRow>) => Expr;
  readonly order?: readonly Order[] | undefined;
  readonly limit?: number | undefined;
  /** Of each value of this field only the first `limit` rows. */
  readonly perParent?: string | undefined;
}

/**
 * Reads rows as they were at a position of the log, from a store that may hold later changes: these
 * are known, each with the row before it, and are undone.
 */
export class PositionReader {
  readonly #reader: Reader;
  readonly #settle: () => Promise<void>;
  readonly #later: () => readonly ChangeRecord[];

  /**
   * @param settle answers when `later` has every change that was committed before the call
   * @param later the changes after the position, oldest first
   */
  constructor(reader: Reader, settle: () => Promise<void>, later: () => readonly ChangeRecord[]) {
    this.#reader = reader;
    this.#settle = settle;
    this.#later = later;
  }

  /** The same position, by another reader. */
  with(reader: Reader): PositionReader {
    return new PositionReader(reader, this.#settle, this.#later);
  }

  /** Rows that meet a condition that reads `data`. */
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
    const assumed = this.#formerRows();
    const where = condition(assumed);
    if ([...nodesOf(where)].length > MAX_NODES)
      throw new PositionPassed("The store is too far ahead of a position of the log.");
    const spare = (assumed.get(entity)?.size ?? 0) + SPARE;
    const found = await this.#reader.select({
      entity,
      where,
      order,
      ...(limit === undefined
        ? {}
        : perParent === undefined
          ? { limit: limit + spare }
          : { perParent: { field: perParent, limit: limit + spare } }),
      ...(perParent === undefined ? {} : { limit: MAX_RELATED_ROWS }),
    });
    if (perParent !== undefined && found.length === MAX_RELATED_ROWS) throw tooManyRelated();
    await this.#settle();
    const later = this.#formerRows();
    const touched = later.get(entity) ?? new Map<string, StoredRow | null>();
    const wasMet = condition(later);
    // The related rows must have been undone in the question itself.
    if (!isSameForExists(where, assumed, later)) return null;
    const sizes = sizesOf(found, perParent);
    const isCut = limit !== undefined && sizes.some((size) => size === limit + spare);
    if (isCut && touched.size > spare) return null;
    const rows = found.filter(({ id }) => !touched.has(id));
    for (const row of touched.values())
      if (row !== null && (await this.#holds(wasMet, row))) rows.push(row);
    if (touched.size === 0 && limit === undefined) return rows;
    if (touched.size > 0) rows.sort(rowComparator(order ?? []));
    return limit === undefined ? rows : firstOf(rows, limit, perParent);
  }

  async #holds(condition: Expr, row: StoredRow): Promise<boolean> {
    const bound = bind(condition, { data: row });
    return bound.kind === "literal" ? isTrue(bound) : this.#reader.test(bound);
  }

  #formerRows(): FormerRows<StoredRow> {
    return formerRows(this.#later());
  }
}

/** More related rows than that are not kept up to date. */
const MAX_RELATED_ROWS = MAX_GRAPH_ROWS + 1;

/** There are more related rows than a subscription takes. */
export function tooManyRelated(): PylonError {
  return new PylonError(
    "RESULT_TOO_LARGE",
    `A subscription may include at most ${MAX_GRAPH_ROWS} rows of one relation.`,
    { hint: "Add a limit or a narrower where to the include." },
  );
}

/** The rows whose field has one of the values. */
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

/** Whether the same rows were touched of the entities that the condition looks at by `exists`. */
function isSameForExists(where: Expr, a: FormerRows, b: FormerRows): boolean {
  for (const node of nodesOf(where)) {
    if (node.kind !== "exists") continue;
    if ((a.get(node.entity)?.size ?? 0) !== (b.get(node.entity)?.size ?? 0)) return false;
  }
  return true;
}
