import type { Row } from "@pylonsync/protocol";
import { PylonClientError } from "../connection/errors.ts";
import { HttpClient } from "../connection/http.ts";
import { systemPlatform } from "../platform/platform.ts";
import type { SyncCursor } from "../replica/local-store.ts";
import type { ResolvedSession } from "../session/session.ts";
import { toResolvedSession } from "../session/session-requests.ts";

/** The maximum number of rows per entity: one page of the server. */
const MAX_ROWS = 1_000;

/** Rows that a server has loaded for rendering a page. */
export interface HydrationData {
  readonly entities: Readonly<Record<string, readonly Row[]>>;
  /** The position in the change log. It is not continued: `getServerData` returns 0. */
  readonly cursor?: SyncCursor;
  /** The user who may see the rows: with it they are never shown to another user. */
  readonly session?: ResolvedSession | null;
}

/**
 * Loads rows on a server that renders a page, for `engine.hydrate` in the browser. Entities that
 * can't be read are left empty, and are loaded with the replica.
 *
 * @param entities the entities to load, up to 1,000 rows each
 * @param options `token`: the token of the user who requested the page
 * @example
 * const data = await getServerData("http://pylon:4321", ["Todo"], { token });
 * engine.hydrate(data);
 */
export async function getServerData(
  baseUrl: string,
  entities: readonly string[],
  { token = null }: { readonly token?: string | null } = {},
): Promise<HydrationData & { readonly cursor: SyncCursor }> {
  const http = new HttpClient(baseUrl, systemPlatform, () => token);
  const read = async (path: string, body?: unknown): Promise<unknown> => {
    try {
      return await http.request(body === undefined ? "GET" : "POST", path, body);
    } catch (error) {
      if (error instanceof PylonClientError) return null;
      throw error;
    }
  };
  const [me, ...lists] = await Promise.all([
    read("/api/auth/me"),
    ...entities.map((entity) =>
      read(`/api/query/${encodeURIComponent(entity)}`, { $limit: MAX_ROWS }),
    ),
  ]);
  return {
    entities: Object.fromEntries(entities.map((entity, index) => [entity, toRows(lists[index])])),
    cursor: { last_seq: 0 },
    session: me === null ? null : toResolvedSession(me),
  };
}

function toRows(answer: unknown): readonly Row[] {
  return Array.isArray(answer) ? answer : [];
}
