import { parseDuration } from "./duration.ts";
import type { CompletedStep, RunnerReply, RunnerRequest } from "./runner-wire.ts";
import type { StepContext, WorkflowDefinition, WorkflowTools } from "./workflow.ts";

/**
 * Runs a workflow's code from its first line: completed steps return their recorded results, and
 * the first incomplete step is executed, or waited for.
 *
 * @returns the outcome; never rejects
 */
export function advanceRun(
  definition: WorkflowDefinition,
  request: RunnerRequest,
): Promise<RunnerReply> {
  const { completed_steps: over } = request;
  return new Promise((resolve) => {
    const run = new RunOfOneStep(over, request.workflow_id, resolve);
    const context = {
      id: request.workflow_id,
      name: request.workflow_name,
      input: request.input,
      version: definition.version ?? 1,
      generation: 0,
      currentStep: over.length,
      completedSteps: over.map(({ name }) => name),
    };
    // The context is untyped: only the definition knows its type.
    Promise.resolve()
      .then(() => Reflect.apply(definition.handler, undefined, [context, run.tools]))
      .then(
        (output) => resolve({ action: "complete", output: output ?? null }),
        (error: unknown) => resolve({ action: "fail", error: messageOf(error) }),
      );
  });
}

/** The tools for code that runs up to the first incomplete step. */
class RunOfOneStep {
  readonly #over: readonly CompletedStep[];
  readonly #id: string;
  readonly #reply: (reply: RunnerReply) => void;
  #begun = 0;

  constructor(over: readonly CompletedStep[], id: string, reply: (reply: RunnerReply) => void) {
    this.#over = over;
    this.#id = id;
    this.#reply = reply;
  }

  get tools(): WorkflowTools {
    return {
      step: (name, run) => this.#next(name, () => void this.#run(name, run)),
      sleep: (duration) =>
        this.#next(null, () => {
          parseDuration(duration);
          this.#reply({ action: "sleep", duration });
        }),
      waitForEvent: (event: string, options?: unknown) =>
        options === undefined
          ? this.#next(`event:${event}`, () => this.#reply({ action: "wait_event", event }))
          : refused("waitForEvent with a timeout"),
      runMutation: () => refused("runMutation"),
      runWorkflow: () => refused("runWorkflow"),
      setState: () => throwing("setState"),
      continueAsNew: () => throwing("continueAsNew"),
    };
  }

  /**
   * Returns the result of a completed step; starts the first incomplete one, where the code then
   * waits.
   *
   * @param name null if the server assigns the name
   */
  async #next<T>(name: string | null, begin: () => void): Promise<T> {
    const position = this.#begun;
    this.#begun += 1;
    const done = this.#over[position];
    if (done !== undefined) {
      if (name === null || done.name === name) return done.output as T;
      throw new Error(
        `The workflow calls "${name}" where it called "${done.name}" before: between steps it ` +
          "must be deterministic.",
      );
    }
    if (position === this.#over.length) begin();
    return new Promise<never>(() => undefined);
  }

  async #run(name: string, run: (ctx: StepContext) => unknown): Promise<void> {
    const started = performance.now();
    const context: StepContext = {
      signal: new AbortController().signal,
      attempt: 1,
      idempotencyKey: `${this.#id}:${this.#over.length}`,
      runQuery: () => refused("runQuery"),
      runMutation: () => refused("runMutation"),
      runAction: () => refused("runAction"),
    };
    try {
      const output = (await run(context)) ?? null;
      const duration_ms = Math.round(performance.now() - started);
      this.#reply({ action: "step_complete", step_name: name, output, duration_ms });
    } catch (error) {
      this.#reply({ action: "fail", step_name: name, error: messageOf(error) });
    }
  }
}

function refused(tool: string): Promise<never> {
  return Promise.reject(unknownTool(tool));
}

function throwing(tool: string): never {
  throw unknownTool(tool);
}

function unknownTool(tool: string): Error {
  return new Error(
    `A runner does not support ${tool}: move the workflow into the app's folder workflows/, ` +
      "where it runs in the server.",
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
