/**
 * Vue composables for Pylon's client engine.
 *
 * @module
 */
export { pylon, useEngine } from "./engine.ts";
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
  type Mutation,
  type RoomResult,
} from "./hooks.ts";
export type { Refs } from "./live.ts";
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
  QueryState,
  RoomStayOptions,
  RowState,
  SearchSpec,
  SearchState,
  SessionState,
} from "@pylonsync/sync/bindings";
