import { MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "./context.ts";

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = Math.min(200, MAX_PAGE_SIZE);

/**
 * Returns the number of entries that `?limit=` requests of a list for operators: 50 by default, and
 * at most 200.
 *
 * @throws PylonError INVALID_QUERY
 */
export function listLimit(context: Pick<RequestContext, "query">): number {
  const given = context.query("limit") ?? String(DEFAULT_LIMIT);
  const limit = Number(given);
  if (/^\d+$/.test(given) && limit >= 1) return Math.min(limit, MAX_LIMIT);
  throw new PylonError("INVALID_QUERY", `limit is "${given.slice(0, 80)}", which is not valid.`, {
    field: "limit",
    hint: `Use a whole number from 1 to ${MAX_LIMIT}.`,
  });
}
