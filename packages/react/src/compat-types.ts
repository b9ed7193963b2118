import type { RoomPeer, SyncEngineConfig } from "@pylonsync/sync";
import type { EntityName } from "@pylonsync/sdk";
import type { EntityMutations, FunctionCalls } from "./mutations.ts";
import type { QueryResult, RowResult } from "./queries.ts";
import type { SessionState } from "./session.ts";

// Types that apps of the public system import, under the names they have there.

/** The result of `useQuery`. @deprecated Use `QueryResult`. */
export type UseQueryReturn<T> = QueryResult<T>;
/** The result of `useQueryOne`. @deprecated Use `RowResult`. */
export type UseQueryOneReturn<T> = RowResult<T>;
/** The result of `useMutation`. @deprecated Use `FunctionCalls`. */
export type UseMutationReturn<A, R> = FunctionCalls<A, R>;
/** The result of `useEntityMutation`. @deprecated Use `EntityMutations`. */
export type UseEntityMutationReturn<E extends EntityName = EntityName> = EntityMutations<E>;
/** The result of `useSession`. @deprecated Use `SessionState`. */
export type UseSessionReturn = SessionState;
/** A filter such as `{done: false}`. */
export type QueryFilter = Readonly<Record<string, unknown>>;
/** The options of `init`. @deprecated Use `Partial<SyncEngineConfig>`. */
export type AgentDBClientConfig = Partial<SyncEngineConfig>;
/** The members of a room, as `POST /api/rooms/join` returns them. */
export interface RoomSnapshot {
  readonly type: "snapshot";
  readonly room: string;
  readonly peers: readonly RoomPeer[];
}
