import { PylonClientError } from "@pylonsync/sync";

/** A failure as shown to the user. */
export interface Problem {
  readonly text: string;
  /** The field that caused it. */
  readonly field?: string | undefined;
}

/**
 * Converts an error to a message for the user. A hint is shown only if it is a time to wait: other
 * hints are for the app's developers.
 */
export function problemOf(reason: unknown): Problem {
  if (reason instanceof PylonClientError) {
    const wait =
      reason.code === "RATE_LIMITED" && reason.hint !== undefined ? ` ${reason.hint}` : "";
    return { text: `${reason.message}${wait}`, field: reason.field };
  }
  return { text: "Something went wrong. Try again." };
}
