import { MAX_WORKFLOW_VALUE_BYTES, PylonError } from "@pylonsync/protocol";
import { encodeResult } from "../functions/encode-result.ts";

/**
 * Returns a value as JSON text, as a run stores it.
 *
 * @throws PylonError PAYLOAD_TOO_LARGE, Error for a value that JSON can't represent
 */
export function encoded(value: unknown): string {
  const { json } = encodeResult(value);
  checkSize(json);
  return json;
}

/** @throws PylonError PAYLOAD_TOO_LARGE */
export function checkSize(json: string): void {
  if (Buffer.byteLength(json) > MAX_WORKFLOW_VALUE_BYTES)
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `A value of a workflow may have at most ${MAX_WORKFLOW_VALUE_BYTES} bytes.`,
      { hint: "Store it in a row or a file, and pass its id." },
    );
}

/** Returns the text of an error that a run stores. */
export function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 2_000);
}
