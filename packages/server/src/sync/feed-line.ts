import type { Subscriber } from "../connections/subscriber.ts";
import type { ChangeRecord } from "../store/store.ts";

/** The feed, as those see it who do steps between its deliveries. */
export interface FeedLine {
  /** Up to this change all is delivered and sent. */
  readonly position: number;
  readonly epoch: string;
  /** Delivers everything that was committed before the call. */
  settle(): Promise<void>;
  /** Does a step between two deliveries, alone. */
  enqueue(step: () => Promise<void>): Promise<void>;
  /** For use in a step: delivers everything that was committed before the call. */
  deliver(): Promise<void>;
  /** The committed changes that are not delivered yet. */
  later(): readonly ChangeRecord[];
  /** All changes after one up to another; null where the log has forgotten some. */
  changes(after: number, end: number): Promise<readonly ChangeRecord[] | null>;
  /** @returns false, and closes it, when its session is over or another */
  mayStay(subscriber: Subscriber): Promise<boolean>;
}
