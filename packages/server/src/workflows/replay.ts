import {
  MAX_WORKFLOW_BYTES,
  MAX_WORKFLOW_STEPS,
  MAX_WORKFLOW_VALUE_BYTES,
  PylonError,
} from "@pylonsync/protocol";
import {
  parseDuration,
  StepFailedError,
  type StepContext,
  type StepOptions,
  type WorkflowDefinition,
  type WorkflowTools,
} from "@pylonsync/workflows";
import { encodeResult } from "../functions/encode-result.ts";
import type { Platform } from "../platform.ts";
import { stepId, type EventRow, type Run, type StepRow } from "./run.ts";

/** For how long code may await something that is no step before it counts as stuck, in ms. */
const GRACE_MS = 5_000;

/** Longest time that a timer takes, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What ends a run at once: its code is not what began it, or it is too large. */
export class RunFault extends Error {
  override readonly name = "RunFault";
}

/** Thrown where the code of a run ends because it begins again. */
class ContinuedAsNew extends Error {
  override readonly name = "ContinuedAsNew";
}

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

/** What came of an advance. */
export type ReplayEnd =
  | { readonly kind: "suspended" }
  | { readonly kind: "completed"; readonly output: string }
  /** It begins again with this input. */
  | { readonly kind: "continued"; readonly input: string }
  | { readonly kind: "failed"; readonly error: string; readonly failedStep: number | null };

/** What a replay begins with. */
export interface ReplayInput {
  readonly run: Run;
  readonly definition: WorkflowDefinition;
  readonly steps: readonly StepRow[];
  readonly events: readonly EventRow[];
  readonly platform: Platform;
  /** Aborted when the run is no longer this server's. */
  readonly signal: AbortSignal;
  /** Of an attempt at a step, unless the workflow says otherwise, in milliseconds. */
  readonly timeoutMs: number;
  /** Pause before a step is tried again, in milliseconds. */
  readonly retryDelayMs: (attempts: number) => number;
}

/** A call of the code, and what became of it. */
interface Call {
  row: StepRow;
  /** `begun`: runs here; `waiting`: for a time, an event or a child. */
  state: "new" | "begun" | "waiting" | "ended";
  isWritten: boolean;
  readonly work: Work;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Work =
  | {
      readonly kind: "step";
      readonly run: (ctx: StepContext) => unknown;
      readonly options: StepOptions;
    }
  | { readonly kind: "mutation"; readonly args: unknown; readonly options: StepOptions }
  | { readonly kind: "sleep"; readonly ms: number }
  | { readonly kind: "event"; readonly timeoutMs: number | null }
  | { readonly kind: "child"; readonly input: unknown };

/** What the code of a step has come to. */
type Ended = { readonly call: Call } & (
  | { readonly output: string }
  | { readonly error: string; readonly isFinal: boolean }
);

/**
 * Runs the code of a workflow from its beginning. Calls whose end was recorded are answered from
 * the records, in the order in which they ended; the others are made, and what comes of them is
 * recorded before the code learns it. All that is decided is decided in one loop, when the code has
 * done all that it can: so a replay takes the same way again.
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
  readonly #steps = new AbortController();
  #ended: Ended[] = [];
  #events: readonly EventRow[];
  #begun = 0;
  #bytes: number;
  #seq: number;
  #fault: RunFault | null = null;
  #end: ReplayEnd | null = null;
  /** What the run shows of itself, and what of it is written. */
  #state: string | null;
  #savedState: string | null;
  #areChildrenKnown = false;
  #isChanged = false;
  #onChange: () => void = () => undefined;

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
    this.#seq = (this.#toDeliver.at(-1)?.seq ?? 0) + 1;
    this.#bytes = input.steps.reduce((sum, { output }) => sum + (output?.length ?? 0), 0);
  }

  /**
   * @throws RunFault, what the ports throw, and the signal's reason
   */
  async run(): Promise<ReplayEnd> {
    const { signal } = this.#input;
    const onAbort = (): void => this.#change();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      this.#start();
      return await this.#loop();
    } finally {
      signal.removeEventListener("abort", onAbort);
      // Those that lost a race: nobody waits for them.
      this.#steps.abort(signal.reason ?? new RunFault("The run goes on without this step."));
    }
  }

  async #loop(): Promise<ReplayEnd> {
    const { signal, platform } = this.#input;
    for (;;) {
      await new Promise<void>((resolve) => platform.soon(resolve));
      signal.throwIfAborted();
      if (this.#fault !== null) throw this.#fault;
      if (this.#toDeliver.length === 0) await this.#saveState();
      if (this.#end !== null) return this.#checkedEnd(this.#end);
      if (await this.#deliver()) continue;
      this.#beginAll();
      if ((await this.#recordEnds()) || (await this.#doOneCall())) continue;
      if (this.#begun > 0) await this.#changeWithin(this.#msUntilDue());
      else if (this.#calls.some(({ state }) => state === "waiting")) {
        if (await this.#suspend()) return { kind: "suspended" };
      } else if (!(await this.#changeWithin(GRACE_MS))) throw this.#stuck();
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
    // The handler's own types are the app's.
    const handler = definition.handler as (ctx: object, tools: WorkflowTools) => unknown;
    const settle = (end: ReplayEnd): void => {
      // Code that begins again has ended there, whatever it does with what was thrown.
      this.#end ??= end;
      this.#change();
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
      runMutation: (name, args = {}, options = {}) =>
        this.#call(name, { kind: "mutation", args, options }),
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
        this.#change();
      },
      continueAsNew: (input = null) => {
        this.#end ??= { kind: "continued", input: encoded(input) };
        this.#change();
        throw new ContinuedAsNew("The run begins again.");
      },
    };
  }

  #call(name: string, work: Work): Promise<unknown> {
    const position = this.#calls.length;
    const promise = new Promise<unknown>((resolve, reject) => {
      const written = this.#written.get(position);
      if (position >= MAX_WORKFLOW_STEPS)
        this.#fault ??= new RunFault(`A run has at most ${MAX_WORKFLOW_STEPS} steps.`);
      if (written !== undefined && (written.kind !== work.kind || written.name !== name))
        this.#fault ??= changed(
          `Step ${position} was ${written.kind} "${written.name}", and is ${work.kind} "${name}"`,
        );
      this.#calls.push({
        row: written ?? this.#newRow(position, name, work),
        state: written === undefined ? "new" : written.seq === null ? "waiting" : "ended",
        isWritten: written !== undefined,
        work,
        resolve,
        reject,
      });
    });
    // The code may not look at it any more, as after a race.
    promise.catch(() => undefined);
    this.#change();
    return promise;
  }

  #newRow(position: number, name: string, work: Work): StepRow {
    const now = this.#input.platform.now();
    const ms = work.kind === "sleep" ? work.ms : work.kind === "event" ? work.timeoutMs : null;
    return {
      id: stepId(this.#input.run.id, position),
      runId: this.#input.run.id,
      position,
      kind: work.kind,
      name: String(name),
      status: "waiting",
      seq: null,
      output: null,
      error: null,
      attempts: 0,
      startedAt: now,
      endedAt: null,
      wakeAt: ms === null ? null : now + ms,
      childId: null,
    };
  }

  /** Tells the code the next end that is recorded. @returns whether there was one */
  async #deliver(): Promise<boolean> {
    const [row] = this.#toDeliver;
    if (row === undefined) return false;
    const call = this.#calls[row.position];
    if (call === undefined) {
      if (await this.#changeWithin(GRACE_MS)) return true;
      throw changed(`Step ${row.position}, ${row.kind} "${row.name}", is not called any more`);
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

  /** Begins the code of all steps that can run now. */
  #beginAll(): void {
    for (const call of this.#calls) {
      if (call.work.kind !== "step") {
        if (call.state === "new" && call.work.kind !== "mutation" && call.work.kind !== "child")
          call.state = "waiting";
      } else if (this.#isReady(call)) this.#begin(call, call.work.run, call.work.options);
    }
  }

  /** Of a step: it is new, or its time to be tried again has come. */
  #isReady({ state, row }: Call): boolean {
    return state === "new" || (state === "waiting" && this.#isDue(row.wakeAt));
  }

  #isDue(at: number | null): boolean {
    return at !== null && at <= this.#input.platform.now();
  }

  #begin(call: Call, run: (ctx: StepContext) => unknown, options: StepOptions): void {
    const { platform } = this.#input;
    call.state = "begun";
    this.#begun += 1;
    const abort = new AbortController();
    const onAbort = (): void => abort.abort(this.#steps.signal.reason);
    this.#steps.signal.addEventListener("abort", onAbort, { once: true });
    const timeoutMs = this.#timeoutOf(options);
    const timer = platform.after(timeoutMs, () =>
      abort.abort(new Error(`The step took longer than ${timeoutMs / 1000} s.`)),
    );
    const context = this.#ports.stepContext({
      signal: abort.signal,
      attempt: call.row.attempts + 1,
      idempotencyKey: this.#keyOf(call.row),
    });
    const late = new Promise<never>((_resolve, reject) => {
      abort.signal.addEventListener("abort", () => reject(abort.signal.reason), { once: true });
    });
    void Promise.race([late, (async () => encoded(await run(context)))()])
      .then(
        (output) => this.#ended.push({ call, output }),
        (error: unknown) => this.#ended.push({ call, error: textOf(error), isFinal: false }),
      )
      .finally(() => {
        timer.cancel();
        this.#steps.signal.removeEventListener("abort", onAbort);
        this.#begun -= 1;
        this.#change();
      });
  }

  #keyOf({ id, position }: StepRow): string {
    const { generation } = this.#input.run;
    if (generation === null || generation === 0) return id.replace(" ", ":");
    return `${this.#input.run.id}:${generation}:${position}`;
  }

  #timeoutOf({ timeoutSecs }: StepOptions): number {
    const seconds = timeoutSecs ?? this.#input.definition.stepTimeoutSecs;
    return seconds === undefined ? this.#input.timeoutMs : seconds * 1000;
  }

  /** Records all that has ended meanwhile. @returns whether something had */
  async #recordEnds(): Promise<boolean> {
    const ended = this.#ended;
    this.#ended = [];
    const rows = ended.map((end) => this.#rowOfEnd(end));
    const taken: EventRow[] = [];
    for (const call of this.#calls) {
      const row = call.state === "waiting" ? await this.#endOfWait(call, taken) : null;
      if (row === null) continue;
      rows.push(row);
      call.row = row;
    }
    this.#areChildrenKnown = true;
    if (rows.length === 0) return false;
    await this.#ports.record(rows, taken);
    this.#recorded(rows);
    return true;
  }

  #recorded(rows: readonly StepRow[]): void {
    for (const row of rows) {
      const call = this.#calls[row.position];
      if (call === undefined) continue;
      call.row = row;
      call.isWritten = true;
      this.#bytes += row.output?.length ?? 0;
      call.state = row.seq === null ? "waiting" : "ended";
      if (row.seq !== null) this.#toDeliver.push(row);
    }
  }

  /** The row of an attempt that has ended. */
  #rowOfEnd(end: Ended): StepRow {
    const { row, work } = end.call;
    const attempts = row.attempts + 1;
    if ("output" in end) return this.#endedRow({ ...row, attempts }, end.output);
    const options = work.kind === "step" || work.kind === "mutation" ? work.options : {};
    const retries = options.retries ?? this.#input.run.maxRetries;
    if (end.isFinal || attempts > retries) return this.#failedRow({ ...row, attempts }, end.error);
    const wakeAt = this.#input.platform.now() + this.#input.retryDelayMs(attempts);
    return { ...row, attempts, status: "retrying", error: end.error, wakeAt };
  }

  #endedRow(row: StepRow, output: string | null): StepRow {
    if (this.#bytes + (output?.length ?? 0) > MAX_WORKFLOW_BYTES)
      throw new RunFault(`The steps of a run have results of at most ${MAX_WORKFLOW_BYTES} bytes.`);
    const endedAt = this.#input.platform.now();
    return { ...row, status: "completed", output, error: null, seq: this.#nextSeq(), endedAt };
  }

  #failedRow(row: StepRow, error: string): StepRow {
    const endedAt = this.#input.platform.now();
    return { ...row, status: "failed", error, seq: this.#nextSeq(), endedAt };
  }

  #nextSeq(): number {
    this.#seq += 1;
    return this.#seq;
  }

  /** What a wait has come to; null while it goes on. */
  async #endOfWait({ row, work }: Call, taken: EventRow[]): Promise<StepRow | null> {
    if (work.kind === "sleep") return this.#isDue(row.wakeAt) ? this.#endedRow(row, null) : null;
    if (work.kind === "event") {
      const event = this.#events.find(({ name }) => name === row.name);
      if (event === undefined) return this.#isDue(row.wakeAt) ? this.#endedRow(row, null) : null;
      this.#events = this.#events.filter((one) => one !== event);
      taken.push(event);
      return this.#endedRow(row, event.data);
    }
    if (work.kind !== "child" || row.childId === null || this.#areChildrenKnown) return null;
    const end = await this.#ports.endOfChild(row.childId);
    if (end === null) return null;
    return end.kind === "completed"
      ? this.#endedRow(row, end.output)
      : this.#failedRow(row, end.error);
  }

  /** Makes one call that is a transaction of its own. @returns whether there was one */
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
      return this.#endedRow({ ...call.row, attempts: call.row.attempts + 1 }, output);
    };
    try {
      const timeoutMs = this.#timeoutOf(options);
      this.#recorded([await this.#ports.mutate({ name, args, timeoutMs }, rowOf)]);
    } catch (error) {
      this.#fail(call, error, error instanceof PylonError && error.code === "INVALID_ARGS");
    }
  }

  /** @throws what is no failure of the call: the run is no longer this server's, or is too large */
  #fail(call: Call, error: unknown, isFinal: boolean): void {
    this.#input.signal.throwIfAborted();
    if (error instanceof RunFault) throw error;
    if (error instanceof PylonError && error.code === "JOB_LOST") throw error;
    call.state = "begun";
    this.#ended.push({ call, error: textOf(error), isFinal });
  }

  /** @returns false when something was sent meanwhile */
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
    throw changed(
      `Step ${missed.position}, ${missed.kind} "${missed.name}", is not called any more`,
    );
  }

  #stuck(): RunFault {
    return new RunFault(
      "The workflow awaits something that is not a step. Put what takes time into step().",
    );
  }

  #msUntilDue(): number | null {
    const times = this.#calls.flatMap(({ state, row }) =>
      state === "waiting" && row.wakeAt !== null ? row.wakeAt : [],
    );
    return times.length === 0 ? null : Math.max(0, Math.min(...times) - this.#input.platform.now());
  }

  #change(): void {
    this.#isChanged = true;
    this.#onChange();
  }

  /** Waits until something happens. @returns whether it did */
  async #changeWithin(ms: number | null): Promise<boolean> {
    const { platform, signal } = this.#input;
    if (!this.#isChanged && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = ms === null ? null : platform.after(Math.min(ms, MAX_TIMER_MS), resolve);
        this.#onChange = () => {
          timer?.cancel();
          resolve();
        };
      });
    }
    const isChanged = this.#isChanged;
    this.#isChanged = false;
    return isChanged || signal.aborted;
  }
}

/** @throws PylonError PAYLOAD_TOO_LARGE, Error for what JSON can't carry */
export function encoded(value: unknown): string {
  const { json } = encodeResult(value);
  checkSize(json);
  return json;
}

function checkSize(json: string): void {
  if (Buffer.byteLength(json) > MAX_WORKFLOW_VALUE_BYTES)
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `A value of a workflow has at most ${MAX_WORKFLOW_VALUE_BYTES} bytes.`,
      { hint: "Keep it in a row or a file, and pass its id." },
    );
}

function changed(what: string): RunFault {
  return new RunFault(
    `The workflow's code has changed since the run began: ${what}. Raise its version, and keep ` +
      "the old way for older runs.",
  );
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 2_000);
}
