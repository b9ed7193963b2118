import { MAX_WORKFLOW_STEPS, PylonError } from "@pylonsync/protocol";
import {
  parseDuration,
  StepFailedError,
  type StepContext,
  type StepOptions,
  type WorkflowTools,
} from "@pylonsync/workflows";
import type { Call, Ended, Work } from "./call.ts";
import { ChangeSignal } from "./change-signal.ts";
import type { ReplayPorts } from "./replay-ports.ts";
import { changedCode, InvalidRunError, stuckCode } from "./invalid-run-error.ts";
import { checkSize, encoded, textOf } from "./run-value.ts";
import type { EventRow, StepRow } from "./run.ts";
import { StepRows, type StepRowsOptions } from "./step-rows.ts";
import { StepRunner, type StepRunnerOptions } from "./step-runner.ts";

/**
 * How long code may await something that is not a step before it counts as stuck, in milliseconds.
 */
const GRACE_MS = 5_000;

/** Ends the code of a run that starts again. */
class ContinuedAsNew extends Error {
  override readonly name = "ContinuedAsNew";
}

/** The outcome of an advance. */
export type ReplayEnd =
  | { readonly kind: "suspended" }
  | { readonly kind: "completed"; readonly output: string }
  /** The run starts again with this input. */
  | { readonly kind: "continued"; readonly input: string }
  | { readonly kind: "failed"; readonly error: string; readonly failedStep: number | null };

/** The input of a replay. */
export interface ReplayInput extends StepRowsOptions, StepRunnerOptions {
  readonly events: readonly EventRow[];
  /** Aborted when the run is no longer this server's. */
  readonly signal: AbortSignal;
}

/**
 * Runs the code of a workflow from its beginning. Calls whose end was recorded are answered from
 * the records, in the order in which they ended. The others are executed, and their results are
 * recorded before the code receives them. All decisions are made in one loop, when the code can do
 * nothing more, so that a replay makes the same decisions again.
 */
export class Replay {
  readonly #input: ReplayInput;
  readonly #ports: ReplayPorts;
  readonly #calls: Call[] = [];
  readonly #written: ReadonlyMap<number, StepRow>;
  /** Ends that are recorded and not delivered yet, in order. */
  readonly #toDeliver: StepRow[];
  readonly #delivered: string[] = [];
  readonly #failures = new WeakMap<Error, number>();
  readonly #rows: StepRows;
  readonly #runner: StepRunner;
  readonly #changes: ChangeSignal;
  #ended: Ended[] = [];
  #events: readonly EventRow[];
  #begun = 0;
  #invalidRun: InvalidRunError | null = null;
  #end: ReplayEnd | null = null;
  /** The visible state of the run, and the part of it that is stored. */
  #state: string | null;
  #savedState: string | null;
  #areChildrenKnown = false;

  constructor(input: ReplayInput, ports: ReplayPorts) {
    this.#input = input;
    this.#ports = ports;
    this.#events = input.events;
    this.#state = input.run.state;
    this.#savedState = input.run.state;
    this.#written = new Map(input.steps.map((row) => [row.position, row]));
    this.#toDeliver = input.steps
      .filter(({ seq }) => seq !== null)
      .toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    this.#rows = new StepRows(input);
    this.#runner = new StepRunner(input, ports.stepContext);
    this.#changes = new ChangeSignal(input.platform, input.signal);
  }

  /** @throws InvalidRunError, errors of the ports, and the signal's reason */
  async run(): Promise<ReplayEnd> {
    const { signal } = this.#input;
    const onAbort = (): void => this.#changes.change();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      this.#start();
      return await this.#loop();
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#runner.stop(
        signal.reason ?? new InvalidRunError("The run continues without this step."),
      );
    }
  }

  async #loop(): Promise<ReplayEnd> {
    const { signal, platform } = this.#input;
    for (;;) {
      await new Promise<void>((resolve) => platform.soon(resolve));
      signal.throwIfAborted();
      if (this.#invalidRun !== null) throw this.#invalidRun;
      if (this.#toDeliver.length === 0) await this.#saveState();
      if (this.#end !== null) return this.#checkedEnd(this.#end);
      if (await this.#deliver()) continue;
      this.#beginAll();
      if ((await this.#recordEnds()) || (await this.#doOneCall())) continue;
      if (this.#begun > 0) await this.#changes.within(this.#msUntilDue());
      else if (this.#calls.some(({ state }) => state === "waiting")) {
        if (await this.#suspend()) return { kind: "suspended" };
      } else if (!(await this.#changes.within(GRACE_MS))) throw stuckCode();
    }
  }

  async #saveState(): Promise<void> {
    if (this.#state === null || this.#state === this.#savedState) return;
    this.#savedState = this.#state;
    await this.#ports.saveState(this.#state);
  }

  #start(): void {
    const { run, definition } = this.#input;
    const calls = this.#calls;
    const delivered = this.#delivered;
    const context: object = {
      id: run.id,
      name: run.name,
      version: run.version,
      generation: run.generation ?? 0,
      input: JSON.parse(run.input) as unknown,
      get currentStep() {
        return calls.length;
      },
      get completedSteps() {
        return [...delivered];
      },
    };
    // The app defines the types of the handler.
    const handler = definition.handler as (ctx: object, tools: WorkflowTools) => unknown;
    const settle = (end: ReplayEnd): void => {
      // Code that starts again has ended there, even if it catches the error.
      this.#end ??= end;
      this.#changes.change();
    };
    void (async () => await handler(context, this.#tools()))().then(
      (value: unknown) => settle(this.#completed(value)),
      (error: unknown) =>
        settle({
          kind: "failed",
          error: textOf(error),
          failedStep: error instanceof Error ? (this.#failures.get(error) ?? null) : null,
        }),
    );
  }

  #completed(value: unknown): ReplayEnd {
    try {
      return { kind: "completed", output: encoded(value) };
    } catch (error) {
      return { kind: "failed", error: textOf(error), failedStep: null };
    }
  }

  #tools(): WorkflowTools {
    return {
      step: <T>(name: string, run: (ctx: StepContext) => T | Promise<T>, options = {}) =>
        this.#call(name, { kind: "step", run, options }) as Promise<T>,
      // The types of the app's functions are known to its compiler only.
      runMutation: (name, args = {}, options = {}) =>
        this.#call(name, { kind: "mutation", args, options }) as Promise<never>,
      sleep: async (duration) => {
        await this.#call("sleep", { kind: "sleep", ms: parseDuration(duration) });
      },
      waitForEvent: <T>(name: string, options: { readonly timeout?: string } = {}) => {
        const timeoutMs = options.timeout === undefined ? null : parseDuration(options.timeout);
        return this.#call(name, { kind: "event", timeoutMs }) as Promise<T>;
      },
      runWorkflow: (name, input = null) => this.#call(name, { kind: "child", input }),
      setState: (state) => {
        this.#state = encoded(state);
        this.#changes.change();
      },
      continueAsNew: (input = null) => {
        this.#end ??= { kind: "continued", input: encoded(input) };
        this.#changes.change();
        throw new ContinuedAsNew("The run starts again.");
      },
    };
  }

  #call(name: string, work: Work): Promise<unknown> {
    const position = this.#calls.length;
    const promise = new Promise<unknown>((resolve, reject) => {
      const written = this.#written.get(position);
      if (position >= MAX_WORKFLOW_STEPS)
        this.#invalidRun ??= new InvalidRunError(
          `A run may have at most ${MAX_WORKFLOW_STEPS} steps.`,
        );
      if (written !== undefined && (written.kind !== work.kind || written.name !== name))
        this.#invalidRun ??= changedCode(
          `step ${position} was ${written.kind} "${written.name}", now ${work.kind} "${name}"`,
        );
      this.#calls.push({
        row: written ?? this.#rows.first(position, name, work),
        state: written === undefined ? "new" : written.seq === null ? "waiting" : "ended",
        isWritten: written !== undefined,
        work,
        resolve,
        reject,
      });
    });
    // The code may no longer use it, such as after a race.
    promise.catch(() => undefined);
    this.#changes.change();
    return promise;
  }

  /** Delivers the next recorded end to the code. @returns whether there was one */
  async #deliver(): Promise<boolean> {
    const [row] = this.#toDeliver;
    if (row === undefined) return false;
    const call = this.#calls[row.position];
    if (call === undefined) {
      if (await this.#changes.within(GRACE_MS)) return true;
      throw changedCode(`step ${row.position}, ${row.kind} "${row.name}", is no longer called`);
    }
    this.#toDeliver.shift();
    this.#delivered.push(row.name);
    call.state = "ended";
    if (row.status === "completed") {
      call.resolve(row.output === null ? undefined : JSON.parse(row.output));
      return true;
    }
    const error = new StepFailedError(row.name, row.error ?? "");
    this.#failures.set(error, row.position);
    call.reject(error);
    return true;
  }

  /** Starts the code of all steps that can run now. */
  #beginAll(): void {
    for (const call of this.#calls) {
      if (call.work.kind !== "step") {
        if (call.state === "new" && call.work.kind !== "mutation" && call.work.kind !== "child")
          call.state = "waiting";
      } else if (this.#isReady(call)) this.#begin(call, call.work.run, call.work.options);
    }
  }

  /** Whether a step is new, or is due to be retried. */
  #isReady({ state, row }: Call): boolean {
    return state === "new" || (state === "waiting" && this.#isDue(row.wakeAt));
  }

  #isDue(at: number | null): boolean {
    return at !== null && at <= this.#input.platform.now();
  }

  #begin(call: Call, run: (ctx: StepContext) => unknown, options: StepOptions): void {
    call.state = "begun";
    this.#begun += 1;
    void this.#runner
      .run(call.row, run, options)
      .then(
        (output) => this.#ended.push({ call, output }),
        (error: unknown) => this.#ended.push({ call, error: textOf(error), isFinal: false }),
      )
      .finally(() => {
        this.#begun -= 1;
        this.#changes.change();
      });
  }

  /** Records all calls that have ended. @returns whether there were any */
  async #recordEnds(): Promise<boolean> {
    const ended = this.#ended;
    this.#ended = [];
    const rows = ended.map((end) => this.#rows.ofEnd(end));
    const taken: EventRow[] = [];
    for (const call of this.#calls) {
      const row = call.state === "waiting" ? await this.#endOfWait(call, taken) : null;
      if (row === null) continue;
      rows.push(row);
      call.row = row;
    }
    this.#areChildrenKnown = true;
    if (rows.length === 0) return false;
    await this.#ports.record(rows, taken, (row) => this.#isNew(row));
    this.#recorded(rows);
    return true;
  }

  /**
   * Whether no row of the call was written. A mutation or the start of a child may have been
   * committed although this server received a failure.
   */
  #isNew({ kind, position }: StepRow): boolean {
    const isOnlyRecorded = kind === "step" || kind === "sleep" || kind === "event";
    return isOnlyRecorded && this.#calls[position]?.isWritten === false;
  }

  #recorded(rows: readonly StepRow[]): void {
    for (const row of rows) {
      const call = this.#calls[row.position];
      if (call === undefined) continue;
      call.row = row;
      call.isWritten = true;
      this.#rows.count(row);
      call.state = row.seq === null ? "waiting" : "ended";
      if (row.seq !== null) this.#toDeliver.push(row);
    }
  }

  /** Returns the row of a wait that has ended; null if it has not. */
  async #endOfWait({ row, work }: Call, taken: EventRow[]): Promise<StepRow | null> {
    if (work.kind === "sleep") return this.#isDue(row.wakeAt) ? this.#rows.ended(row, null) : null;
    if (work.kind === "event") {
      const event = this.#events.find(({ name }) => name === row.name);
      if (event === undefined) return this.#isDue(row.wakeAt) ? this.#rows.ended(row, null) : null;
      this.#events = this.#events.filter((one) => one !== event);
      taken.push(event);
      return this.#rows.ended(row, event.data);
    }
    if (work.kind !== "child" || row.childId === null || this.#areChildrenKnown) return null;
    const end = await this.#ports.endOfChild(row.childId);
    if (end === null) return null;
    return end.kind === "completed"
      ? this.#rows.ended(row, end.output)
      : this.#rows.failed(row, end.error);
  }

  /** Executes one call that is a transaction of its own. @returns whether there was one */
  async #doOneCall(): Promise<boolean> {
    for (const call of this.#calls) {
      const { work } = call;
      if (work.kind === "child" && call.state === "new") {
        const rowOf = (childId: string): StepRow => ({ ...call.row, childId });
        await this.#startChild(call, work.input, rowOf);
        return true;
      }
      if (work.kind !== "mutation" || !this.#isReady(call)) continue;
      await this.#mutate(call, work.args, work.options);
      return true;
    }
    return false;
  }

  async #startChild(
    call: Call,
    input: unknown,
    rowOf: (childId: string) => StepRow,
  ): Promise<void> {
    try {
      this.#recorded([await this.#ports.startChild(call.row.name, input, rowOf)]);
      this.#areChildrenKnown = false;
    } catch (error) {
      this.#fail(call, error, true);
    }
  }

  async #mutate(call: Call, args: unknown, options: StepOptions): Promise<void> {
    const { name } = call.row;
    const rowOf = (output: string): StepRow => {
      checkSize(output);
      return this.#rows.ended({ ...call.row, attempts: call.row.attempts + 1 }, output);
    };
    try {
      const timeoutMs = this.#runner.timeoutOf(options);
      this.#recorded([await this.#ports.mutate({ name, args, timeoutMs }, rowOf)]);
    } catch (error) {
      this.#fail(call, error, error instanceof PylonError && error.code === "INVALID_ARGS");
    }
  }

  /**
   * @throws errors that are not a failure of the call: the run is no longer this server's, or is
   *   too large
   */
  #fail(call: Call, error: unknown, isFinal: boolean): void {
    this.#input.signal.throwIfAborted();
    if (error instanceof InvalidRunError) throw error;
    if (error instanceof PylonError && error.code === "JOB_LOST") throw error;
    call.state = "begun";
    this.#ended.push({ call, error: textOf(error), isFinal });
  }

  /** @returns false if something was sent in the meantime */
  async #suspend(): Promise<boolean> {
    const waiting = this.#calls.filter(({ state }) => state === "waiting");
    const times = waiting.flatMap(({ row }) => row.wakeAt ?? []);
    const event = waiting.find(({ row }) => row.kind === "event")?.row.name ?? null;
    const isWaiting = waiting.some(({ row }) => row.kind === "event" || row.kind === "child");
    const events = await this.#ports.suspend({
      rows: waiting.filter(({ isWritten }) => !isWritten).map(({ row }) => row),
      wakeAt: times.length === 0 ? null : Math.min(...times),
      status: isWaiting ? "waiting" : "sleeping",
      waitingFor: event,
    });
    if (events === null) return true;
    this.#events = events;
    this.#areChildrenKnown = false;
    return false;
  }

  #checkedEnd(end: ReplayEnd): ReplayEnd {
    const missed = [...this.#written.values()].find(
      ({ position }) => position >= this.#calls.length,
    );
    if (missed === undefined) return end;
    throw changedCode(
      `step ${missed.position}, ${missed.kind} "${missed.name}", is no longer called`,
    );
  }

  #msUntilDue(): number | null {
    const times = this.#calls.flatMap(({ state, row }) =>
      state === "waiting" && row.wakeAt !== null ? row.wakeAt : [],
    );
    return times.length === 0 ? null : Math.max(0, Math.min(...times) - this.#input.platform.now());
  }
}
