import { MAX_WORKFLOW_VALUE_BYTES, PylonError } from "@pylonsync/protocol";
import { encodeResult } from "../functions/encode-result.ts";

/**
 * A value as a run keeps it.
 *
 * @throws PylonError PAYLOAD_TOO_LARGE, Error for what JSON can't carry
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

/** What a run keeps of an error. */
export function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 2_000);
}
