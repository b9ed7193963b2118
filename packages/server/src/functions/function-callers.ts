import type { FnDefinition, RunMutationOptions } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import type { CommitOptions } from "../data/commit.ts";
import { operationNamed } from "../data/idempotency.ts";
import type { Call } from "./call.ts";
import type { EncodedResult } from "./encode-result.ts";

/** Calls other functions by name, a method per type of function, without the app's types. */
export interface FunctionCallers {
  runQuery(name: string, args?: unknown): Promise<unknown>;
  runMutation(name: string, args?: unknown, options?: RunMutationOptions): Promise<unknown>;
  runAction(name: string, args?: unknown): Promise<unknown>;
}

/** Finds functions and runs them. */
export interface CallRunner {
  definitionOf(name: string, type: FnDefinition["type"]): FnDefinition;
  run(
    name: string,
    definition: FnDefinition,
    args: unknown,
    call: Call,
  ): EncodedResult | Promise<EncodedResult>;
}

/**
 * Returns the methods by which an action calls other functions, including internal ones. Each call
 * runs separately, for the same user but never as the admin.
 */
export function callersFor(
  runner: CallRunner,
  call: Call,
  deadline: { readonly signal: AbortSignal },
): FunctionCallers {
  const run = async (
    type: FnDefinition["type"],
    name: string,
    args: unknown = {},
    options?: RunMutationOptions,
  ): Promise<unknown> => {
    const definition = runner.definitionOf(name, type);
    const { value } = await runner.run(name, definition, args, {
      caller: { ...call.caller, isAdmin: false },
      readerShare: call.readerShare,
      requestId: call.requestId,
      startedBy: call.startedBy,
      signal: deadline.signal,
      isTrusted: true,
      op: type === "mutation" ? namedOnce(name, args, options) : undefined,
      isolate: call.isolate,
    });
    return value;
  };
  return {
    runQuery: (name, args) => run("query", name, args),
    runMutation: (name, args, options) => run("mutation", name, args, options),
    runAction: (name, args) => run("action", name, args),
  };
}

/**
 * Returns the idempotent operation that a function names when it runs a mutation.
 *
 * @throws PylonError INVALID_ARGS, INVALID_DATA
 */
function namedOnce(
  name: string,
  args: unknown,
  options: RunMutationOptions | undefined,
): CommitOptions["op"] {
  if (options === undefined) return undefined;
  const { idempotencyKey, ...unknown } = options;
  const [other] = Object.keys(unknown);
  if (other !== undefined)
    throw new PylonError("INVALID_ARGS", `ctx.runMutation has no option "${other}".`, {
      field: other,
      hint: "Use idempotencyKey.",
    });
  if (idempotencyKey === undefined) return undefined;
  return operationNamed("idempotencyKey", idempotencyKey, `fn ${name}`, args);
}
