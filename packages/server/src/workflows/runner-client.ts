import type { CompletedStep, RunnerReply } from "@pylonsync/workflows";
import { workflow } from "@pylonsync/workflows";
import * as v from "valibot";
import type { Definitions, LoadedWorkflow } from "./definitions.ts";

/** The maximum size of a response, in bytes; the output of a step has its own limit. */
const MAX_REPLY = 1024 * 1024;
/** The maximum number of steps of a run in a runner: each step sends all steps before it. */
const MAX_STEPS = 1_000;
const NAME = /^[\w.-]{1,128}$/;

const Reply = v.variant("action", [
  v.object({
    action: v.literal("step_complete"),
    step_name: v.string(),
    output: v.optional(v.unknown(), null),
  }),
  v.object({ action: v.literal("sleep"), duration: v.string() }),
  v.object({ action: v.literal("wait_event"), event: v.string() }),
  v.object({ action: v.literal("complete"), output: v.optional(v.unknown(), null) }),
  v.object({
    action: v.literal("fail"),
    error: v.optional(v.string(), "It failed."),
    step_name: v.optional(v.string()),
  }),
]);

/**
 * Returns the workflows of the app, and for each other name a workflow that an external runner
 * executes.
 *
 * @param url the URL of the runner; null: there is none
 */
export function withRunner(own: Definitions, url: string | null): Definitions {
  return url === null ? own : new RunnerDefinitions(own, url);
}

/** Only the runner knows which workflows it has, so every valid name is one. */
class RunnerDefinitions extends Map<string, LoadedWorkflow> {
  readonly #url: string;

  constructor(own: Definitions, url: string) {
    super(own);
    this.#url = url;
  }

  override get(name: string): LoadedWorkflow | undefined {
    const own = super.get(name);
    if (own !== undefined || !NAME.test(name)) return own;
    return { ...inRunner(name, this.#url), file: this.#url };
  }
}

/** Returns a workflow that calls the runner after each step, sleep and event. */
function inRunner(name: string, url: string): ReturnType<typeof workflow> {
  return workflow(name, async ({ id, input }, { step, sleep, waitForEvent }) => {
    const over: CompletedStep[] = [];
    const end = (of: string, output: unknown): void => {
      over.push({ step_id: `step_${over.length}`, name: of, status: "Completed", output });
    };
    while (over.length < MAX_STEPS) {
      const request = { workflow_id: id, workflow_name: name, input, completed_steps: over };
      const body = JSON.stringify({ ...request, current_step: over.length });
      const reply = await step(`step ${over.length}`, ({ signal }) => ask(url, body, signal));
      switch (reply.action) {
        case "complete":
          return reply.output;
        case "fail":
          throw new Error(reply.error);
        case "step_complete":
          end(reply.step_name, reply.output);
          break;
        case "sleep":
          await sleep(reply.duration);
          end("sleep", null);
          break;
        case "wait_event":
          end(`event:${reply.event}`, await waitForEvent(reply.event));
      }
    }
    throw new Error(`A workflow in a runner may have at most ${MAX_STEPS} steps.`);
  });
}

/** @throws Error for a step that failed, which is then retried */
async function ask(url: string, body: string, signal: AbortSignal): Promise<RunnerReply> {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", body, headers, signal, redirect: "manual" });
  const text = await textOf(response);
  if (!response.ok) throw new Error(`The runner returned status ${response.status}.`);
  const reply = v.safeParse(Reply, JSON.parse(text));
  if (!reply.success) throw new Error("The runner returned an invalid response.");
  if (reply.output.action === "fail" && reply.output.step_name !== undefined)
    throw new Error(`${reply.output.step_name}: ${reply.output.error}`);
  return reply.output;
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_REPLY) throw new Error("The runner's response is too long.");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
