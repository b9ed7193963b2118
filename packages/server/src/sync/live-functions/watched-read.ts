import { compilePredicate, type Env, isTrue, rowComparator } from "@pylonsync/query";
import type { LoggedRead } from "../../data/read-log.ts";
import { equalityKeys, keysOf, type RowKey } from "../../policy/audience.ts";
import type { ChangeRecord, StoredRow } from "../../store/store.ts";

/** A row before and after a change. */
export type RowChange = Pick<ChangeRecord, "entity" | "before" | "after">;

/** A read of the last run of a live function, which runs again if a change affects it. */
export class WatchedRead<Owner> {
  readonly owner: Owner;
  readonly entity: string;
  /** Only rows with one of these keys can affect it; null: any row can. */
  readonly keys: readonly RowKey[] | null;
  readonly #of: LoggedRead["of"];
  readonly #fields: LoggedRead["fields"];
  readonly #matches: ((env: Env) => boolean) | null;
  readonly #isSeen: (row: StoredRow) => boolean;

  constructor(owner: Owner, { entity, where, of, order, fields, last }: LoggedRead) {
    this.owner = owner;
    this.entity = entity;
    this.keys = keysOf(where, (part) => equalityKeys(part, "data"));
    this.#of = of;
    this.#fields = fields;
    this.#matches = isTrue(where) ? null : compilePredicate(where);
    const compare = rowComparator(order);
    this.#isSeen = last === null ? () => true : (row) => compare(row, last) <= 0;
  }

  /** Whether the change may have changed the result of the read. */
  isTouchedBy({ entity, before, after }: RowChange): boolean {
    if (entity !== this.entity) return false;
    const [was, is] = [this.#holds(before), this.#holds(after)];
    if (this.#of === "count" || !was || !is) return was !== is;
    return this.#fields?.every((field) => before?.[field] === after?.[field]) !== true;
  }

  #holds(row: StoredRow | null): boolean {
    if (row === null) return false;
    return this.#matches?.({ data: row }) !== false && this.#isSeen(row);
  }
}
