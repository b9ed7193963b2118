/**
 * React hooks over Pylon's client engine.
 *
 * @module
 */
export * from "./auth.ts";
export { callFn, streamFn } from "./calls.ts";
export { configureClient, getAppName, getBaseUrl, init, storageKey } from "./client.ts";
export { db } from "./db.ts";
export { useEntityMutation, useMutation, type EntityMutations, type MutationState } from "./mutations.ts";
export { useQuery, useQueryOne, useStatus, type QueryResult, type RowResult } from "./queries.ts";
export { useRoom, type RoomResult, type UseRoomOptions } from "./rooms.ts";
export { SignIn, SignOutButton, SignUp, type SignInProps } from "./sign-in.tsx";
export { useSession, type SessionState } from "./session.ts";
export { createSyncEngine, MutationError, PylonClientError, type QueryOptions, type SyncEngineConfig, type SyncStatus } from "@pylonsync/sync";
