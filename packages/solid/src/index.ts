/**
 * Solid primitives for Pylon's client engine.
 *
 * @module
 */
export { PylonProvider, useEngine, type PylonProviderProps } from "./engine.ts";
export {
  useAggregate,
  useEntityMutation,
  useFunction,
  useMutation,
  useQuery,
  useQueryOne,
  useRoom,
  useSearch,
  useSession,
  useStatus,
} from "./hooks.ts";
export {
  createSyncEngine,
  MutationError,
  PylonClientError,
  type SyncEngine,
} from "@pylonsync/sync";
export type {
  AggregateSpec,
  AggregateState,
  CallState,
  EntityWrites,
  FunctionState,
  MaybeGetter,
  Mutation,
  QueryState,
  RoomResult,
  RoomStayOptions,
  RowState,
  SearchSpec,
  SearchState,
  SessionState,
} from "@pylonsync/sync/bindings";
