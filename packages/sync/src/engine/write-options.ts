import type { ClientChange } from "@pylonsync/protocol";

/** Conditions on the server's row for a write. */
export interface WriteOptions {
  /**
   * Fields with the values that they must still have; otherwise the write is rejected with
   * `ROW_CHANGED`, and rolled back in the replica.
   */
  readonly ifUnchanged?: Readonly<Record<string, unknown>> | undefined;
}

/** Returns the conditions in the form of the wire protocol. */
export function conditionOf({ ifUnchanged }: WriteOptions): Pick<ClientChange, "if_unchanged"> {
  return ifUnchanged === undefined ? {} : { if_unchanged: { ...ifUnchanged } };
}
