import type { Row } from "@pylonsync/protocol";
import { PylonClientError } from "../connection/errors.ts";
import { HttpClient } from "../connection/http.ts";
import { systemPlatform } from "../platform/platform.ts";
import type { SyncCursor } from "../replica/local-store.ts";
import { toResolvedSession, type ResolvedSession } from "../session/session.ts";

/** The most rows of one entity: the first page that the server answers. */
const MAX_ROWS = 1_000;

/** Rows that a server has read for a page that it renders. */
export interface HydrationData {
  readonly entities: Readonly<Record<string, readonly Row[]>>;
  /** Where in the log they are of. Nothing goes on from there: `getServerData` says 0. */
  readonly cursor?: SyncCursor;
  /** Whose rows they are: with it nobody else is shown them, not even for a moment. */
  readonly session?: ResolvedSession | null;
}

/**
 * Reads rows on a server that renders a page, for `engine.hydrate` in the browser. What can't be
 * read is left empty, and comes with the replica.
 *
 * @param entities up to 1,000 rows of each are read
 * @param options `token`: of the one who asked for the page
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
