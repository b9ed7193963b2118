import { PylonError } from "@pylonsync/protocol";
import { describeThrown } from "../observe/log.ts";
import { toPublicError } from "../request/responses.ts";
import type { SentError } from "./protocol.ts";

/** Converts an error for sending. @param call the call that failed with it, for the way back */
export function sentError(thrown: unknown, call?: number): SentError {
  const refusal = toPublicError(thrown);
  const message = refusal?.message ?? describeThrown(thrown);
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  if (refusal === undefined) return { message, stack, call };
  const { code, hint, field, extra } = refusal;
  return { message, stack, call, refusal: { code, hint, field, extra } };
}

/** Restores an error that was sent. */
export function receivedError({ message, stack, refusal }: SentError): Error {
  const error = refusal === undefined ? new Error(message) : refusalOf(message, refusal);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function refusalOf(
  message: string,
  { code, hint, field, extra }: NonNullable<SentError["refusal"]>,
): PylonError {
  return new PylonError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(field === undefined ? {} : { field }),
    ...(extra === undefined ? {} : { extra }),
  });
}
