/**
 * Svelte 5 bindings for Pylon's client engine.
 *
 * @module
 */
export { setEngine, useEngine } from "./engine.ts";
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
