import type { RoomPeer, SyncEngineConfig } from "@pylonsync/sync";
import type { EntityName } from "@pylonsync/sdk";
import type { EntityMutations, FunctionCalls } from "./mutations.ts";
import type { QueryResult, RowResult } from "./queries.ts";
import type { SessionState } from "./session.ts";

// Types that apps of the public system import, under their names there.

/** What `useQuery` returns. @deprecated Use `QueryResult`. */
export type UseQueryReturn<T> = QueryResult<T>;
/** What `useQueryOne` returns. @deprecated Use `RowResult`. */
export type UseQueryOneReturn<T> = RowResult<T>;
/** What `useMutation` returns. @deprecated Use `FunctionCalls`. */
export type UseMutationReturn<A, R> = FunctionCalls<A, R>;
/** What `useEntityMutation` returns. @deprecated Use `EntityMutations`. */
export type UseEntityMutationReturn<E extends EntityName = EntityName> = EntityMutations<E>;
/** What `useSession` returns. @deprecated Use `SessionState`. */
export type UseSessionReturn = SessionState;
/** A filter such as `{done: false}`. */
export type QueryFilter = Readonly<Record<string, unknown>>;
/** What `init` takes. @deprecated Use `Partial<SyncEngineConfig>`. */
export type AgentDBClientConfig = Partial<SyncEngineConfig>;
/** Who is in a room, as `POST /api/rooms/join` answers it. */
export interface RoomSnapshot {
  readonly type: "snapshot";
  readonly room: string;
  readonly peers: readonly RoomPeer[];
}
