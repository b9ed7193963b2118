/**
 * Vue composables for Pylon's client engine.
 *
 * @module
 */
export { pylon, useEngine } from "./engine.ts";
export {
  useEntityMutation,
  useFunction,
  useMutation,
  useQuery,
  useQueryOne,
  useRoom,
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
  CallState,
  EntityWrites,
  FunctionState,
  QueryState,
  RoomStayOptions,
  RowState,
  SessionState,
} from "@pylonsync/sync/bindings";
