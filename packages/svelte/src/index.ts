/**
 * Svelte 5 bindings for Pylon's client engine.
 *
 * @module
 */
export { setEngine, useEngine } from "./engine.ts";
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
