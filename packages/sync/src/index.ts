/**
 * The client engine of Pylon: a local replica with optimistic writes. Runs in browsers, Node and
 * Bun.
 *
 * @module
 */
export type {
  ChangeEvent,
  ClientChange,
  PresenceMessage,
  PullResponse,
  PushResponse,
  RoomEvent,
  RoomPeer,
  Row,
  TopicMessage,
} from "@pylonsync/protocol";
export type { ConnectionState } from "./connection.ts";
export { parseAnswer, readAnswer } from "./answer.ts";
export {
  createSyncEngine,
  NOT_STARTED,
  SyncEngine,
  type SyncEngineConfig,
  type SyncStatus,
} from "./engine.ts";
export {
  CLIENT_ERROR_CODES,
  MutationError,
  PylonClientError,
  type ClientErrorCode,
} from "./errors.ts";
export { callFunction, streamFunction } from "./functions.ts";
export { HttpClient, type RequestOptions } from "./http.ts";
export {
  liveQuery,
  liveRow,
  toFilter,
  type LiveList,
  type LiveRow,
  type QueryOptions,
} from "./replica/live-query.ts";
export { LocalStore, type SyncCursor } from "./replica/local-store.ts";
export { MutationQueue, type PendingMutation } from "./mutation-queue.ts";
export type {
  Disk,
  KeptReplica,
  KeptRow,
  KeptSession,
  KeptWrite,
  ReplicaHead,
} from "./persistence/disk.ts";
export { systemPlatform, type Platform, type Socket } from "./platform.ts";
export { Room, type RoomBroadcast, type RoomOptions, type RoomState } from "./room.ts";
export {
  ANONYMOUS_SESSION,
  toResolvedSession,
  type Credentials,
  type ResolvedSession,
} from "./session.ts";
export { createWriteThroughStorage, defaultStorage, storageKey, type Storage } from "./storage.ts";
export type { TransportType } from "./transport/transport.ts";
