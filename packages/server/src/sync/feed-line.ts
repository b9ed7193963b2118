import type { Subscriber } from "../connections/subscriber.ts";
import type { ChangeRecord } from "../store/store.ts";

/** The feed, for code that runs between its deliveries. */
export interface FeedLine {
  /** Everything up to this change was delivered and sent. */
  readonly position: number;
  readonly epoch: string;
  /** Delivers everything that was committed before the call. */
  settle(): Promise<void>;
  /** Runs a step exclusively between two deliveries. */
  enqueue(step: () => Promise<void>): Promise<void>;
  /** For use in a step: delivers everything that was committed before the call. */
  deliver(): Promise<void>;
  /** The committed changes that have not been delivered yet. */
  later(): readonly ChangeRecord[];
  /** All changes after one up to another; null if the log no longer contains some. */
  changes(after: number, end: number): Promise<readonly ChangeRecord[] | null>;
  /** @returns false, after closing it, if its session has ended or changed */
  mayStay(subscriber: Subscriber): Promise<boolean>;
}
