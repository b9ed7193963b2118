import { PylonClientError } from "@pylonsync/sync";

/** Why a request was refused, in words for the user. */
export interface Problem {
  readonly text: string;
  /** The field that it is about. */
  readonly field?: string | undefined;
}

/**
 * The text of a failure for the user. A hint is shown only where it is a time to wait: other hints
 * are for the app's developers.
 */
export function problemOf(reason: unknown): Problem {
  if (reason instanceof PylonClientError) {
    // What to do is for people only where it is a time to wait; other hints are for who writes the
    // app.
    const wait =
      reason.code === "RATE_LIMITED" && reason.hint !== undefined ? ` ${reason.hint}` : "";
    return { text: `${reason.message}${wait}`, field: reason.field };
  }
  return { text: "That did not work. Try again." };
}
