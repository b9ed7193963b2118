import { callHandler, parseResult, type FnDefinition } from "@pylonsync/functions";
import { encodeResult, type EncodedResult } from "./encode-result.ts";

/**
 * Runs a handler with its middleware, in the server or in an isolated process.
 *
 * @returns the result, checked against `returns`, with its JSON; a promise of it if the handler
 *   returns a promise
 * @throws the error of the handler, and an Error for a result that does not match its declaration
 */
export function runHandler(
  name: string,
  definition: FnDefinition,
  context: object,
  args: unknown,
): EncodedResult | Promise<EncodedResult> {
  let result: unknown;
  try {
    result = callHandler(name, definition, context, args);
    if (isThenable(result)) return settled(definition, result);
  } catch (error) {
    return failed(error);
  }
  return encoded(definition, result);
}

async function settled(
  definition: FnDefinition,
  result: PromiseLike<unknown>,
): Promise<EncodedResult> {
  let value: unknown;
  try {
    value = await result;
  } catch (error) {
    return failed(error);
  }
  return encoded(definition, value);
}

/**
 * Rethrows the error of a handler. The store inspects its class, but inspecting a Proxy runs code
 * of the app, which may throw another error: a Proxy is replaced by a TypeError.
 *
 * @throws the error of the handler
 */
async function failed(error: unknown): Promise<never> {
  const { types } = await import("node:util");
  throw types.isProxy(error) ? new TypeError("The handler threw a Proxy.") : error;
}

function encoded(definition: FnDefinition, value: unknown): EncodedResult {
  return encodeResult(parseResult(definition, value ?? null));
}

/** @throws the error of a getter of the value */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  return value instanceof Promise || typeof Reflect.get(value, "then") === "function";
}
