import type { StoredRow } from "../../../store/store.ts";
import type { OngoingLoad } from "../../subscriptions/subscription.ts";

interface ChangedState {
  readonly wasIn: boolean;
  readonly row: StoredRow | null;
}

/** The changes of a subscription that the feed delivered while its rows were being read. */
export class Load implements OngoingLoad {
  /** By row: its state after the last change, and whether it was in the subscription before. */
  readonly changed: Map<string, ChangedState>;
  /** Ids of rows that were read. */
  readonly read: Set<string>;
  isVoid = false;

  /** @param former a load that this one continues */
  constructor(former?: Load) {
    this.changed = new Map(former?.changed);
    this.read = new Set(former?.read);
    this.isVoid = former?.isVoid === true;
  }

  /** The same rows and changes, to continue separately. */
  copy(): Load {
    return new Load(this);
  }

  touched(rowId: string, wasIn: boolean, row: StoredRow | null): void {
    this.changed.set(rowId, { wasIn: wasIn || this.changed.get(rowId)?.wasIn === true, row });
  }

  invalidate(): void {
    this.isVoid = true;
  }
}
