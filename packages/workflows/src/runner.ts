import type { IncomingMessage, ServerResponse } from "node:http";
import { advanceRun } from "./advance-run.ts";
import type { CompletedStep, RunnerReply, RunnerRequest } from "./runner-wire.ts";
import type { WorkflowDefinition } from "./workflow.ts";

const DEFAULT_PORT = 4500;
/** The maximum size of a request's body, in bytes. */
const MAX_BODY = 10 * 1024 * 1024;

/** A listening runner. */
export interface ServedRunner {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Runs workflows in a separate process, which the server calls over HTTP for each step: see
 * `createRunner`.
 *
 * @example
 * const runner = new WorkflowRunner([workflow("greet", async (ctx, { step }) => {
 *   await step("hello", () => "hello");
 * })]);
 */
export class WorkflowRunner {
  readonly #definitions: ReadonlyMap<string, WorkflowDefinition>;

  /** @throws TypeError for two workflows with the same name */
  constructor(definitions: readonly WorkflowDefinition[]) {
    this.#definitions = new Map(definitions.map((one) => [one.name, one]));
    if (this.#definitions.size < definitions.length)
      throw new TypeError("Two workflows of the runner have the same name.");
  }

  /** Advances a run by one step, and returns the outcome. */
  async advance(request: RunnerRequest): Promise<RunnerReply> {
    const definition = this.#definitions.get(request.workflow_name);
    if (definition !== undefined) return inJson(await advanceRun(definition, request));
    const name = request.workflow_name.slice(0, 80);
    return { action: "fail", error: `The runner has no workflow "${name}".` };
  }

  /**
   * Listens on the local machine.
   *
   * @param port 0 selects a free port
   * @throws Error if the port is in use
   */
  async serve(port: number = DEFAULT_PORT): Promise<ServedRunner> {
    // Loaded on demand, because the server imports this package too.
    const { createServer } = await import("node:http");
    const server = createServer((request, response) => void this.#answer(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    const address = server.address();
    return {
      port: typeof address === "object" && address !== null ? address.port : port,
      stop: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = (status: number, body: object): void => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (request.method !== "POST") return reply(405, { error: "A runner only accepts POST." });
    // Browsers send the page's origin with each POST: otherwise any site could run steps.
    if (request.headers.origin !== undefined)
      return reply(403, {
        error: "A runner only accepts requests from servers, not from web pages.",
      });
    let asked: RunnerRequest | null = null;
    try {
      asked = requestOf(JSON.parse(await textOf(request)));
    } catch {
      // Too long, truncated, or invalid JSON.
    }
    if (asked === null)
      return reply(400, { error: "Send workflow_id, workflow_name, input and completed_steps." });
    return reply(200, await this.advance(asked));
  }
}

/**
 * Runs workflows in a separate process, like apps of the public system: start the server with
 * `PYLON_WORKFLOW_RUNNER_URL=http://127.0.0.1:4500/run`. A workflow in the app's folder
 * `workflows/` does not need a runner, and also supports `runMutation`, child workflows and
 * versions.
 *
 * @throws TypeError for two workflows with the same name
 * @example
 * const greet = workflow("greet", async (ctx, { step }) => step("hello", () => "hello"));
 * await createRunner([greet]).serve();
 */
export function createRunner(definitions: readonly WorkflowDefinition[]): WorkflowRunner {
  return new WorkflowRunner(definitions);
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Uint8Array)) continue;
    size += chunk.length;
    if (size > MAX_BODY) throw new RangeError("The body is too long.");
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** @returns null for an invalid request */
function requestOf(body: unknown): RunnerRequest | null {
  if (typeof body !== "object" || body === null) return null;
  const fields = new Map<string, unknown>(Object.entries(body));
  const [id, name] = [fields.get("workflow_id"), fields.get("workflow_name")];
  const steps: unknown = fields.get("completed_steps") ?? [];
  if (typeof id !== "string" || typeof name !== "string") return null;
  if (!Array.isArray(steps) || !steps.every(isStep)) return null;
  return {
    workflow_id: id,
    workflow_name: name,
    input: fields.get("input"),
    current_step: steps.length,
    completed_steps: steps,
  };
}

function isStep(value: unknown): value is CompletedStep {
  return typeof value === "object" && value !== null && "name" in value;
}

/** Returns the reply, or a failure if the code's result can't be represented in JSON. */
function inJson(reply: RunnerReply): RunnerReply {
  try {
    JSON.stringify(reply);
    return reply;
  } catch (error) {
    const name = reply.action === "step_complete" ? { step_name: reply.step_name } : {};
    return {
      action: "fail",
      ...name,
      error: `The result can't be represented in JSON: ${String(error)}`,
    };
  }
}
