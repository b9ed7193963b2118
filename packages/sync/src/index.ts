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
export type { ConnectionState } from "./connection/connection.ts";
export { parseAnswer } from "./connection/answer.ts";
export { readAnswer } from "./connection/response.ts";
export { LIVE_AGGREGATE, LIVE_JOB, LIVE_SEARCH, LIVE_WORKFLOW } from "@pylonsync/protocol";
export { NOT_STARTED, type SyncEngineConfig, type SyncStatus } from "./engine/config.ts";
export { createSyncEngine, SyncEngine } from "./engine/engine.ts";
export {
  InfiniteQuery,
  type InfiniteQueryOptions,
  type LoadedPage,
  type LoadPageOptions,
} from "./engine/pages.ts";
export type { WriteOptions } from "./engine/write-options.ts";
export { getServerData, type HydrationData } from "./engine/server-data.ts";
export type { EngineRooms } from "./engine/engine-rooms.ts";
export type { EngineSession } from "./engine/engine-session.ts";
export {
  CLIENT_ERROR_CODES,
  MutationError,
  PylonClientError,
  type ClientErrorCode,
  type FunctionError,
} from "./connection/errors.ts";
export { callFunction, streamFunction } from "./engine/functions.ts";
export { fetchPage, type PageOptions, type RowPage } from "./engine/fetch-page.ts";
export { upsertRow } from "./engine/upsert-row.ts";
export { HttpClient, type RequestAuthor, type RequestOptions } from "./connection/http.ts";
export { LOADING, type LiveFunction, type LiveFunctionState } from "./live/live-function.ts";
export {
  liveQuery,
  liveRow,
  toFilter,
  type IncludeOptions,
  type LiveList,
  type LiveRow,
  type QueryOptions,
  type RelatedOptions,
} from "./replica/live-query.ts";
export type { DocumentKey } from "./documents/document-client.ts";
export type { DocumentPart } from "./documents/document-parts.ts";
export type { DocumentChanges, DocumentUpdate } from "./documents/document-sender.ts";
export type { Documents } from "./documents/documents.ts";
export type { TabChannel, TabPlatform } from "./platform/browser-tabs.ts";
export type { LocalChange } from "./replica/local-changes.ts";
export { LocalStore, type SyncCursor } from "./replica/local-store.ts";
export {
  MutationQueue,
  type MutationQueuePersistence,
  type PendingMutation,
} from "./outbox/mutation-queue.ts";
export {
  IndexedDBPersistence,
  persistChange,
  type RowPersistence,
} from "./persistence/indexed-db-persistence.ts";
export type {
  Disk,
  DocumentDisk,
  KeptDocumentPart,
  KeptQuery,
  KeptReplica,
  KeptResult,
  KeptResults,
  KeptRow,
  KeptSession,
  KeptWrite,
  ReplicaHead,
} from "./persistence/disk.ts";
export { systemPlatform, type Platform, type Socket } from "./platform/platform.ts";
export { Room, type RoomBroadcast, type RoomOptions, type RoomState } from "./rooms/room.ts";
export { toResolvedSession } from "./session/session-requests.ts";
export { ANONYMOUS_SESSION, type Credentials, type ResolvedSession } from "./session/session.ts";
export {
  createWriteThroughStorage,
  defaultStorage,
  storageKey,
  type Storage,
} from "./session/storage.ts";
export type { TransportType } from "./connection/transport/transport.ts";
