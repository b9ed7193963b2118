import type { StoredRow } from "../../store/store.ts";
import type { OngoingLoad } from "../subscriptions/subscription.ts";

/** What the feed told of a subscription while its rows were being read. */
export class Load implements OngoingLoad {
  /** By row: how the last change left it, and whether it was in the subscription before. */
  readonly changed = new Map<string, { readonly wasIn: boolean; readonly row: StoredRow | null }>();
  /** Ids of rows that were read. */
  readonly read = new Set<string>();
  isVoid = false;

  touched(rowId: string, wasIn: boolean, row: StoredRow | null): void {
    this.changed.set(rowId, { wasIn: wasIn || this.changed.get(rowId)?.wasIn === true, row });
  }

  rightsMoved(): void {
    this.isVoid = true;
  }
}
