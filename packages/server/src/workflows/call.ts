import type { StepContext, StepOptions } from "@pylonsync/workflows";
import type { StepRow } from "./run.ts";

/** A call that the code made, and its state. */
export interface Call {
  row: StepRow;
  /** `begun`: it runs here; `waiting`: for a time, an event or a child. */
  state: "new" | "begun" | "waiting" | "ended";
  isWritten: boolean;
  readonly work: Work;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The operation of a call. */
export type Work =
  | {
      readonly kind: "step";
      readonly run: (ctx: StepContext) => unknown;
      readonly options: StepOptions;
    }
  | { readonly kind: "mutation"; readonly args: unknown; readonly options: StepOptions }
  | { readonly kind: "sleep"; readonly ms: number }
  | { readonly kind: "event"; readonly timeoutMs: number | null }
  | { readonly kind: "child"; readonly input: unknown };

/** The result of the code of a step. */
export type Ended = { readonly call: Call } & (
  | { readonly output: string }
  | { readonly error: string; readonly isFinal: boolean }
);
