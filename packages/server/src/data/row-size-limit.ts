import { PylonError } from "@pylonsync/protocol";
import type { Entity } from "../schema/schema.ts";
import { bytesOf, MAX_BYTES_PER_UNIT, rowBytes, rowSize } from "../store/row-size.ts";
import type { StoredRow, Value } from "../store/store.ts";

/**
 * Checks a row's size. A row above the limit, stored before the limit existed, may still be shrunk.
 *
 * @throws PylonError PAYLOAD_TOO_LARGE
 */
export function checkRowSize(
  entity: Entity,
  row: StoredRow,
  before: StoredRow | null,
  maxRowBytes: number,
): void {
  // A UTF-16 unit takes at most three bytes, so the exact size of most rows is not needed.
  if (rowSize(row) <= maxRowBytes / MAX_BYTES_PER_UNIT) return;
  const size = rowBytes(row);
  if (size <= maxRowBytes || (before !== null && size < rowBytes(before))) return;
  const [largest] = Object.entries(row).toSorted(([, a], [, b]) => sizeOf(b) - sizeOf(a));
  throw new PylonError(
    "PAYLOAD_TOO_LARGE",
    `A row of ${entity.name} may have at most ${maxRowBytes} bytes, but this row has ${size}.`,
    {
      ...(largest === undefined ? {} : { field: largest[0] }),
      hint: "Store large content in a file (see docs/files.md), or raise PYLON_MAX_ROW_BYTES.",
    },
  );
}

/** Returns 0 for values of a fixed size: they are never the reason that a row is too large. */
function sizeOf(value: Value): number {
  return typeof value === "string" || (typeof value === "object" && value !== null)
    ? bytesOf(value)
    : 0;
}
