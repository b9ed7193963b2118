import type { Guard } from "@pylonsync/protocol";
import type { GenericSchema, InferOutput } from "valibot";
import { PylonClientError } from "./errors.ts";

/** The parts of a response that show where it came from. */
export type Head = Pick<Response, "ok" | "status" | "headers" | "redirected">;

/** The maximum delay that a proxy may request, in seconds. */
const MAX_PROXY_PAUSE_SECS = 30;

/** The error for a response that did not come from a Pylon server. */
export function unexpected(head?: Head): PylonClientError {
  const pause = Number(head?.headers.get("Retry-After"));
  return new PylonClientError(0, {
    code: "UNEXPECTED_ANSWER",
    message: "Something else answered in place of the server. Try again.",
    ...(head === undefined ? {} : { http_status: head.status }),
    ...(pause > 0 ? { retry_after_secs: Math.min(pause, MAX_PROXY_PAUSE_SECS) } : {}),
  });
}

/**
 * Validates a response with a valibot schema or a type guard of the protocol.
 *
 * @throws PylonClientError `UNEXPECTED_ANSWER` if a 2xx response does not have the expected form
 * @example
 * import * as v from "valibot";
 * const { count } = parseAnswer(v.object({ count: v.number() }), await engine.fn("count"));
 */
export function parseAnswer<S extends GenericSchema>(schema: S, answer: unknown): InferOutput<S>;
export function parseAnswer<T>(guard: Guard<T>, answer: unknown): T;
export function parseAnswer(shape: GenericSchema | Guard<unknown>, answer: unknown): unknown {
  if (typeof shape === "function") {
    if (shape(answer)) return answer;
    throw unexpected();
  }
  // A schema validates itself: pages without one do not load its library.
  const result = shape["~standard"].validate(answer);
  if (result instanceof Promise || result.issues !== undefined) throw unexpected();
  return result.value;
}

/**
 * Whether the request may not have reached the server, or the response came from something else.
 */
export function isUnreachable(error: unknown): boolean {
  return error instanceof PylonClientError && error.status === 0;
}

/** Whether the request timed out. */
export function isTimeout(error: unknown): boolean {
  return error instanceof PylonClientError && error.code === "TIMED_OUT";
}
