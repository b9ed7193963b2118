import { callHandler, parseResult, type FnDefinition } from "@pylonsync/functions";
import { encodeResult, type EncodedResult } from "./encode-result.ts";

/**
 * Runs a handler with its middleware, in whichever process.
 *
 * @returns what it returned, checked against `returns`, with its JSON; a promise of that for a
 *   handler that returns a promise
 * @throws what the handler throws, and an Error for a result that is not what it declares
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
 * What a handler throws goes through the store, which looks at its class. A Proxy runs code of the
 * app when it is looked at, and may throw once more from there; it is not an error that anybody
 * needs.
 *
 * @throws what the handler has thrown
 */
async function failed(error: unknown): Promise<never> {
  const { types } = await import("node:util");
  throw types.isProxy(error) ? new TypeError("The handler threw a Proxy.") : error;
}

function encoded(definition: FnDefinition, value: unknown): EncodedResult {
  return encodeResult(parseResult(definition, value ?? null));
}

/** @throws what the value throws when it is looked at */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  return value instanceof Promise || typeof Reflect.get(value, "then") === "function";
}
