/**
 * Solid primitives for Pylon's client engine.
 *
 * @module
 */
export { PylonProvider, useEngine, type PylonProviderProps } from "./engine.ts";
export { useFunction, useMutation, type Mutation } from "./functions.ts";
export { useEntityMutation, useQuery, useQueryOne } from "./rows.ts";
export { useRoom, useSession, useStatus, type RoomResult } from "./session.ts";
export type { MaybeGetter } from "./live.ts";
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
