import { MAX_PAGE_BYTES, type RowsMessage } from "@pylonsync/protocol";
import type { Subscriber } from "../../../connections/subscriber.ts";
import { rowSize } from "../../../store/row-size.ts";
import type { StoredRow } from "../../../store/store.ts";
import type { Subscription } from "../../subscriptions/subscription.ts";
import type { Joiner } from "./joiner.ts";

/** What the joiners of a subscription are sent. */
export interface SentRows extends Pick<RowsMessage, "reset" | "gone"> {
  readonly rows: readonly StoredRow[];
}

/** @returns false, after closing it, if the session of a connection has ended or changed */
export type MayStay = (subscriber: Subscriber) => Promise<boolean>;

/**
 * Sends rows in messages of a limited size. The session is checked after the read: rows may have
 * been written after its end.
 */
export async function sendRows(
  { number, visible }: Subscription,
  joiners: readonly Joiner[],
  { rows, reset, gone }: SentRows,
  mayStay: MayStay,
): Promise<void> {
  if (joiners.length === 0) return;
  const parts = inParts(rows);
  const texts = (parts.length === 0 ? [[]] : parts).map((part, index) =>
    JSON.stringify({
      type: "rows",
      sub: number,
      ...(reset === undefined || index > 0 ? {} : { reset }),
      rows: part.map(visible),
      ...(gone === undefined || gone.length === 0 || index > 0 ? {} : { gone }),
    } satisfies RowsMessage),
  );
  for (const { connection } of joiners)
    if (await mayStay(connection.subscriber))
      for (const text of texts) connection.subscriber.sendRequested(text);
}

/** Divides rows into parts of about MAX_PAGE_BYTES. */
function inParts(rows: readonly StoredRow[]): StoredRow[][] {
  const parts: StoredRow[][] = [];
  let size = MAX_PAGE_BYTES;
  for (const row of rows) {
    if (size >= MAX_PAGE_BYTES) {
      parts.push([]);
      size = 0;
    }
    size += rowSize(row);
    parts.at(-1)?.push(row);
  }
  return parts;
}
