import { MAX_RESULT_BYTES, PylonError } from "@pylonsync/protocol";

/** The error for a result without further pages that has more rows than fit into one response. */
export function resultTooLarge(): PylonError {
  return new PylonError(
    "RESULT_TOO_LARGE",
    `The rows take more than ${MAX_RESULT_BYTES / 1024 / 1024} MiB, ` +
      "the maximum size of a response.",
    { hint: "Request fewer rows, or page with /api/entities/E/cursor." },
  );
}
