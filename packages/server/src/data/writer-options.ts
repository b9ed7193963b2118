import type { Caller } from "../identity/identity.ts";
import type { StoredRow, Transaction } from "../store/store.ts";
import type { HookCall } from "./hook-context.ts";

/** The caller on whose behalf rows are written, and the limits that apply. */
export interface WriterOptions {
  readonly caller: Caller;
  /**
   * `bypassed` for server functions, which are trusted code; `enforced` for all writes from
   * outside.
   */
  readonly policies: "enforced" | "bypassed";
  /** Milliseconds since 1970, the same for the whole transaction. */
  readonly now: number;
  readonly newId: () => string;
  readonly uuid: () => string;
  readonly monotonic: () => number;
  /** `unchecked`: rows may refer to rows that are inserted later, as in an import. */
  readonly references?: "checked" | "unchecked" | undefined;
  /** Yields to other work. */
  readonly pause: () => Promise<void>;
  /** The maximum size of a row's values, in bytes. */
  readonly maxRowBytes: number;
  /** Called with each row that was deleted, in the same transaction. */
  readonly onDelete?:
    | ((tx: Transaction, entity: string, row: StoredRow) => Promise<void>)
    | undefined;
  /** Called with each updated row, before and after the change, in the same transaction. */
  readonly onUpdate?:
    | ((tx: Transaction, entity: string, before: StoredRow, after: StoredRow) => Promise<void>)
    | undefined;
  /** Schedules a hook's call, which runs if the transaction commits. @returns the job's id */
  readonly schedule?: ((tx: Transaction, call: HookCall) => Promise<string>) | undefined;
}
