import type { StoredRow } from "../../store/store.ts";
import type { OngoingLoad } from "../subscriptions/subscription.ts";

/** The changes of a subscription that the feed delivered while its rows were being read. */
export class Load implements OngoingLoad {
  /** By row: its state after the last change, and whether it was in the subscription before. */
  readonly changed = new Map<string, { readonly wasIn: boolean; readonly row: StoredRow | null }>();
  /** Ids of rows that were read. */
  readonly read = new Set<string>();
  isVoid = false;

  touched(rowId: string, wasIn: boolean, row: StoredRow | null): void {
    this.changed.set(rowId, { wasIn: wasIn || this.changed.get(rowId)?.wasIn === true, row });
  }

  invalidate(): void {
    this.isVoid = true;
  }
}
