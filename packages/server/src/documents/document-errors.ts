import { MAX_DOCUMENT_BYTES, PylonError } from "@pylonsync/protocol";
import type { MergeRefusal } from "./merge-protocol.ts";

/** The response to an update that can't be applied. */
export function refusedUpdate(refusal: MergeRefusal): PylonError {
  switch (refusal.kind) {
    case "malformed":
      return new PylonError("CRDT_DECODE_FAILED", "The update is not valid.", {
        field: "update",
        hint: 'Send what the document\'s export({ mode: "update" }) returns, as hex.',
      });
    case "incomplete":
      return new PylonError(
        "CRDT_APPLY_FAILED",
        "The update is based on changes that the server does not have.",
        {
          field: "update",
          hint: "Subscribe to the document again, and apply the edits to what you receive.",
        },
      );
    case "foreign":
      return new PylonError(
        "CRDT_APPLY_FAILED",
        `The update changes "${refusal.key.slice(0, 80)}", which is not a text of the document.`,
        {
          field: "update",
          hint: "Change only the texts that the document contains; do not create or replace any.",
        },
      );
    case "too-large":
      return new PylonError(
        "PAYLOAD_TOO_LARGE",
        `With the update, the texts or the document (${MAX_DOCUMENT_BYTES} bytes) are too large.`,
        { field: "update", hint: "Shorten the text, or split it into several rows." },
      );
  }
}

/**
 * The response if the server has no time for a merge.
 *
 * @param waitMs the time after which another attempt makes sense, in milliseconds
 */
export function overloaded(waitMs = 1_000): PylonError {
  return new PylonError("OVERLOADED", "The server has too many updates of documents.", {
    hint: "Try again in a few seconds.",
    extra: { retry_after_secs: Math.max(1, Math.ceil(waitMs / 1000)) },
  });
}
