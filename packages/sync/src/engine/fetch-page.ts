import { anyOf, arrayOf, isRow, isString, objectOf, oneOf, type Row } from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import type { HttpClient } from "../connection/http.ts";
import { toPlain } from "../outbox/plain.ts";

/** The options of `fetchPage`. */
export interface PageOptions {
  /** A filter such as `{done: false}`; it may also refer to related rows. */
  readonly where?: Readonly<Record<string, unknown>> | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly orderBy?: Readonly<Record<string, "asc" | "desc">> | undefined;
  /** The number of rows per page, from 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
  /** `nextCursor` or `prevCursor` of another page of the same query; null for the first page. */
  readonly cursor?: string | null | undefined;
}

/** A page of rows, with the cursors of the next and previous pages. */
export interface RowPage {
  readonly rows: readonly Row[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
  /** Null on the first page. */
  readonly prevCursor: string | null;
}

const isCursor = anyOf(isString, oneOf(null));
const isPage = objectOf({
  data: arrayOf(isRow),
  next_cursor: isCursor,
  prev_cursor: isCursor,
});

/**
 * Loads a page of rows from the server, which need not be in the replica. Each row appears once,
 * even during concurrent writes. The page is not live.
 *
 * @param client an engine, or its HTTP client
 * @throws PylonClientError
 * @example
 * const first = await fetchPage(engine, "Todo", { orderBy: { title: "asc" }, limit: 20 });
 * const next = await fetchPage(engine, "Todo", {
 *   orderBy: { title: "asc" },
 *   limit: 20,
 *   cursor: first.nextCursor,
 * });
 */
export async function fetchPage(
  client: Pick<HttpClient, "request">,
  entity: string,
  { where, orderBy, limit, cursor }: PageOptions = {},
): Promise<RowPage> {
  const asked = {
    ...(where === undefined ? {} : { where }),
    ...(orderBy === undefined ? {} : { order: orderBy }),
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  const path = `/api/page/${encodeURIComponent(entity)}`;
  const answer = parseAnswer(isPage, await client.request("POST", path, toPlain(asked)));
  return { rows: answer.data, nextCursor: answer.next_cursor, prevCursor: answer.prev_cursor };
}
