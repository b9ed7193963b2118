import { isFalse, type Values } from "@pylonsync/query";
import type { Caller } from "../../identity/identity.ts";
import type { StoredRow } from "../../store/store.ts";
import type { PositionReader } from "../position-reader.ts";
import type { RelatedRows, RelatedSet } from "./related-rows.ts";
import { callerValue, type ExistsPlan, type RightsPlan } from "./rights-plan.ts";

const NO_ROWS: readonly StoredRow[] = [];

/**
 * The related rows that the `exists` of a read policy find for one row, at one position of the log.
 */
export class RowFacts {
  readonly #plan: RightsPlan;
  readonly #row: StoredRow;
  readonly #related: RelatedRows;
  readonly #reader: PositionReader;
  readonly #now: string;
  /** By `exists`: the related rows for all callers, if there are not too many. */
  readonly #common = new Map<ExistsPlan, RelatedSet>();

  private constructor(
    plan: RightsPlan,
    row: StoredRow,
    related: RelatedRows,
    reader: PositionReader,
    now: string,
  ) {
    this.#plan = plan;
    this.#row = row;
    this.#related = related;
    this.#reader = reader;
    this.#now = now;
  }

  /** Reads the related rows that are the same for all callers. */
  static async of(
    plan: RightsPlan,
    row: StoredRow,
    related: RelatedRows,
    reader: PositionReader,
    now: string,
  ): Promise<RowFacts> {
    const facts = new RowFacts(plan, row, related, reader, now);
    for (const exists of plan.exists) {
      const condition = exists.commonCondition(row);
      if (condition === null) continue;
      const set = await related.find(exists.entity, condition, reader);
      if (set !== null) facts.#common.set(exists, set);
    }
    return facts;
  }

  /**
   * The related rows that determine the callers for whom the `exists` can be true; null: unknown.
   */
  namedBy(exists: ExistsPlan): RelatedSet | null {
    return exists.callerField === null ? null : (this.#common.get(exists) ?? null);
  }

  /** The results for a caller, by the names of the `exists`; null if the store must be queried. */
  known(caller: Caller): Values | null {
    if (this.#common.size < this.#plan.exists.length) return null;
    const answers: Record<string, boolean> = {};
    for (const exists of this.#plan.exists) {
      const set = this.#common.get(exists);
      if (set === undefined) return null;
      this.#answer(exists, commonFor(exists, set, caller), caller, answers);
    }
    return answers;
  }

  /** The results for a caller, by the names of the `exists`. */
  async answers(caller: Caller): Promise<Values> {
    const answers: Record<string, boolean> = {};
    for (const exists of this.#plan.exists) {
      const set = this.#common.get(exists);
      const rows =
        set === undefined ? await this.#rowsFor(exists, caller) : commonFor(exists, set, caller);
      this.#answer(exists, rows, caller, answers);
    }
    return answers;
  }

  #answer(
    exists: ExistsPlan,
    rows: readonly StoredRow[],
    auth: Caller,
    answers: Record<string, boolean>,
  ): void {
    const env = { auth, data: this.#row, input: answers, now: this.#now };
    answers[exists.name] = rows.length > 0 && exists.isMet(rows, env);
  }

  async #rowsFor(exists: ExistsPlan, caller: Caller): Promise<readonly StoredRow[]> {
    const condition = exists.callerCondition(this.#row, caller, this.#now);
    if (isFalse(condition)) return NO_ROWS;
    if (exists.isCorrelated) return this.#reader.rows(exists.entity, condition, 1);
    const set = await this.#related.find(exists.entity, condition, this.#reader);
    if (set !== null) return set.rows;
    // If there are very many, the first ones do not show whether any of them satisfies it.
    return this.#reader.rows(exists.entity, condition);
  }
}

function commonFor(exists: ExistsPlan, set: RelatedSet, caller: Caller): readonly StoredRow[] {
  const { callerField } = exists;
  if (callerField === null) return set.rows;
  const value = callerValue(caller, callerField);
  return value === null ? NO_ROWS : (set.by(callerField.field).get(value) ?? NO_ROWS);
}
