/**
 * Solid primitives for Pylon's client engine.
 *
 * @module
 */
export { PylonProvider, useEngine, type PylonProviderProps } from "./engine.ts";
export {
  useEntityMutation,
  useFunction,
  useMutation,
  useQuery,
  useQueryOne,
  useRoom,
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
  CallState,
  EntityWrites,
  FunctionState,
  MaybeGetter,
  Mutation,
  QueryState,
  RoomResult,
  RoomStayOptions,
  RowState,
  SessionState,
} from "@pylonsync/sync/bindings";
