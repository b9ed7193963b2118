import { isFalse, type Expr } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { DataModel } from "../data/model.ts";
import { RuleEnv } from "../data/rules.ts";
import { reachOf } from "../policy/rewind.ts";
import type { ChangeRecord, Reader, StoredRow } from "../store/store.ts";

/** The rows that a caller may read, by the current permissions in the store. */
export class Visibility {
  readonly #reader: Reader;
  readonly #model: DataModel;
  readonly #now: () => number;

  constructor(reader: Reader, model: DataModel, now: () => number) {
    this.#reader = reader;
    this.#model = model;
    this.#now = now;
  }

  /** Whether any policy reads other rows: only then the store is queried. */
  get looksAtRights(): boolean {
    return this.#model.schema.entities.some(
      ({ name }) => this.#model.rules.readPredicate(name) === undefined,
    );
  }

  /** Whether the caller may read the row, by the current permissions. */
  async reads(entity: string, row: StoredRow | null, caller: Caller): Promise<boolean> {
    if (row === null) return false;
    const { rules } = this.#model;
    return rules.allows(this.#reader, entity, "read", new RuleEnv(caller, this.#now(), row));
  }

  /** The condition, on `data` only, for the rows that the caller may read. */
  readRule(entity: string, caller: Caller): Expr {
    return this.#model.rules.readable(entity, caller, new Date(this.#now()).toISOString());
  }

  /** Whether the change is to a row that a read policy reads for this caller. */
  affectsPermissions(record: ChangeRecord, caller: Caller): boolean {
    if (caller.isAdmin) return false;
    for (const entity of this.#model.policies.dependentsOf(record.entity))
      if (!isFalse(reachOf(this.readRule(entity, caller), record))) return true;
    return false;
  }
}
