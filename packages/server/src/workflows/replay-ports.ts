import type { StepContext } from "@pylonsync/workflows";
import type { EventRow, StepRow } from "./run.ts";

/** The access of a replay to the database and to the app's functions. */
export interface ReplayPorts {
  /**
   * Writes the ends of calls, and deletes the events that they consumed.
   *
   * @param isNew whether the row certainly does not exist
   */
  readonly record: (
    rows: readonly StepRow[],
    taken: readonly EventRow[],
    isNew: (row: StepRow) => boolean,
  ) => Promise<void>;
  /** Writes the visible state of the run, as JSON text. */
  readonly saveState: (state: string) => Promise<void>;
  /** Runs a mutation, and writes the row for its result in the same transaction. */
  readonly mutate: (call: MutationCall, rowOf: (output: string) => StepRow) => Promise<StepRow>;
  /** Starts a child run, and writes the row for its id. */
  readonly startChild: (
    name: string,
    input: unknown,
    rowOf: (childId: string) => StepRow,
  ) => Promise<StepRow>;
  /** Returns the end of a child; null if it has not ended. */
  readonly endOfChild: (id: string) => Promise<ChildEnd | null>;
  /**
   * Ends this advance.
   *
   * @returns null if it has ended; the current events if something was sent in the meantime
   */
  readonly suspend: (pause: Pause) => Promise<readonly EventRow[] | null>;
  readonly stepContext: (base: Omit<StepContext, Callers>) => StepContext;
}

type Callers = "runQuery" | "runMutation" | "runAction";

/** A mutation that is a step. */
export interface MutationCall {
  readonly name: string;
  readonly args: unknown;
  readonly timeoutMs: number;
}

/** The end of a child run. */
export type ChildEnd =
  | { readonly kind: "completed"; readonly output: string | null }
  | { readonly kind: "failed"; readonly error: string };

/** The conditions for which a run waits. */
export interface Pause {
  /** Calls that are not written yet. */
  readonly rows: readonly StepRow[];
  /** Milliseconds since 1970; null: it is woken up. */
  readonly wakeAt: number | null;
  readonly status: "sleeping" | "waiting";
  /** The name of the event that it waits for. */
  readonly waitingFor: string | null;
}
