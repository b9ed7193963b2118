import type { StepContext } from "@pylonsync/workflows";
import type { EventRow, StepRow } from "./run.ts";

/** What a replay asks of the database and of the app's functions. */
export interface ReplayPorts {
  /** Writes ends of calls, and deletes the events that they took. */
  readonly record: (rows: readonly StepRow[], taken: readonly EventRow[]) => Promise<void>;
  /** Writes what the run shows of itself, as JSON text. */
  readonly saveState: (state: string) => Promise<void>;
  /** Runs a mutation, and writes the row that its result makes in the same transaction. */
  readonly mutate: (call: MutationCall, rowOf: (output: string) => StepRow) => Promise<StepRow>;
  /** Starts a run whose parent this one is, and writes the row that its id makes. */
  readonly startChild: (
    name: string,
    input: unknown,
    rowOf: (childId: string) => StepRow,
  ) => Promise<StepRow>;
  /** How a child has ended; null while it has not. */
  readonly endOfChild: (id: string) => Promise<ChildEnd | null>;
  /**
   * Ends this advance.
   *
   * @returns null when it is done; the events there are, when something was sent meanwhile
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

/** How a child run ended. */
export type ChildEnd =
  | { readonly kind: "completed"; readonly output: string | null }
  | { readonly kind: "failed"; readonly error: string };

/** What a run waits for that can go no further now. */
export interface Pause {
  /** Calls that are not written yet. */
  readonly rows: readonly StepRow[];
  /** Milliseconds since 1970; null: it is woken up. */
  readonly wakeAt: number | null;
  readonly status: "sleeping" | "waiting";
  /** The name of an event. */
  readonly waitingFor: string | null;
}
