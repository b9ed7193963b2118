import { checkedError, type FnDefinition } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import { describeThrown } from "../observe/log.ts";
import { reasonOf } from "../observe/operation.ts";
import { toPublicError } from "../request/responses.ts";
import type { TraceOutcome } from "./traces.ts";

/** Returns the error that a caller may see, with the data that the function declares for it. */
export function shownOf(
  definition: FnDefinition,
  thrown: unknown,
): { readonly refusal: PylonError | undefined; readonly error: unknown } {
  const refusal = toPublicError(thrown);
  if (refusal === undefined) return { refusal, error: thrown };
  try {
    return { refusal: checkedError(definition, refusal), error: thrown };
  } catch (error) {
    return { refusal: undefined, error };
  }
}

/** The outcome in a trace, without the text of a bug, which may contain user data. */
export function outcomeOf(refusal: PylonError | undefined, error: unknown): TraceOutcome {
  const { code, message } = refusal ?? { code: "HANDLER_ERROR", message: reasonOf(error) };
  return { status: "error", code, message };
}

/**
 * The error that a caller receives for a bug in the app. The text of the bug is left out unless
 * `isTold`, as in dev mode, because it may contain a path, a query or user data.
 */
export function handlerError(error: unknown, requestId: string, isTold: boolean): PylonError {
  const text = isTold ? `: ${describeThrown(error)}` : "";
  return new PylonError("HANDLER_ERROR", `Internal handler error${text}`, {
    hint: `The server's log has the details under request ${requestId}.`,
  });
}
