import type { Row } from "@pylonsync/protocol";
import * as v from "valibot";
import { parseAnswer } from "../connection/answer.ts";
import type { HttpClient } from "../connection/http.ts";
import { toPlain } from "../outbox/plain.ts";

/** Which page of which rows is read. */
export interface PageOptions {
  /** A filter such as `{done: false}`; it may also ask about related rows. */
  readonly where?: Readonly<Record<string, unknown>> | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly orderBy?: Readonly<Record<string, "asc" | "desc">> | undefined;
  /** Rows of the page, from 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
  /** `nextCursor` or `prevCursor` of another page of the same rows; null for the first one. */
  readonly cursor?: string | null | undefined;
}

/** A page of rows, and the cursors of its neighbours. */
export interface RowPage {
  readonly rows: readonly Row[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
  /** Null on the first page. */
  readonly prevCursor: string | null;
}

const PageSchema = v.looseObject({
  data: v.array(v.custom<Row>((row) => v.is(v.looseObject({ id: v.string() }), row))),
  next_cursor: v.nullable(v.string()),
  prev_cursor: v.nullable(v.string()),
});

/**
 * Reads a page of rows from the server, which need not be in the replica. Each row comes once while
 * others are written; the page is not live.
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
  const answer = parseAnswer(PageSchema, await client.request("POST", path, toPlain(asked)));
  return { rows: answer.data, nextCursor: answer.next_cursor, prevCursor: answer.prev_cursor };
}
