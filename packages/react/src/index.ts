"use client";
/**
 * React hooks for Pylon's client engine.
 *
 * @module
 */
export {
  changePassword,
  confirmAuthenticator,
  deleteAccount,
  getAccountProofs,
  enrollAuthenticator,
  listDevices,
  removeAuthenticator,
  signOutDevice,
  signOutOtherDevices,
  type AccountProofs,
  type Device,
} from "./auth/account-calls.ts";
export { Account } from "./auth/account.tsx";
export {
  confirmSignUp,
  requestPasswordReset,
  resetPassword,
  sendCode,
  sendLink,
  signInWithCode,
  signInWithPassword,
  signOut,
  signUpWithPassword,
  verifySecondFactor,
  type AuthCallOptions,
  type SignedIn,
  type SignUpResult,
} from "./auth/calls.ts";
export { ForgotPassword, type ForgotPasswordProps } from "./auth/forgot-password.tsx";
export {
  linkAccount,
  listLinkedAccounts,
  unlinkAccount,
  type LinkAccountOptions,
  type LinkedAccount,
} from "./auth/linked-account-calls.ts";
export {
  acceptInvitation,
  inviteMember,
  listInvitations,
  listMembers,
  removeMember,
  setMemberRole,
  withdrawInvitation,
  type OrganizationInvitation,
  type OrganizationMember,
} from "./auth/membership-calls.ts";
export {
  createOrganization,
  listOrganizations,
  selectOrganization,
  type UserOrganization,
} from "./auth/organization-calls.ts";
export {
  OrganizationSwitcher,
  type OrganizationSwitcherProps,
} from "./auth/organization-switcher.tsx";
export {
  addPasskey,
  deletePasskey,
  hasPasskeys,
  listPasskeys,
  signInWithPasskey,
  type Passkey,
} from "./auth/passkey-calls.ts";
export { ProviderButtons, type ProviderButtonsProps } from "./auth/provider-buttons.tsx";
export {
  listProviders,
  providerUrl,
  takePendingSignIn,
  type ProviderUrlOptions,
  type SignInProvider,
} from "./auth/provider-calls.ts";
export { ResetPassword, type ResetPasswordProps } from "./auth/reset-password.tsx";
export type { HeadingProps, SignInProps } from "./auth/sign-in-flow.ts";
export { SignIn, type SignInFormProps, type SignInMethod } from "./auth/sign-in.tsx";
export { SignOutButton } from "./auth/sign-out-button.tsx";
export { SignUp, type SignUpProps } from "./auth/sign-up.tsx";
export { UserButton, type UserButtonProps } from "./auth/user-button.tsx";
export { useUser, type User, type UserState } from "./auth/user.ts";
export {
  useAggregate,
  type AggregateRow,
  type AggregateSpec,
  type EntityAggregateSpec,
  type UseAggregateReturn,
} from "./aggregates.ts";
export { FileInput, type FileInputProps } from "./file-input.tsx";
export { useUpload, type UploadState, type UseUploadOptions } from "./use-upload.ts";
export { callFn, functionError, streamFn } from "./calls.ts";
export {
  configureClient,
  getAppName,
  getBaseUrl,
  getEngine,
  getReactStorage,
  init,
  notifySessionChanged,
  setReactStorage,
  storageKey,
} from "./client.ts";
export type {
  AgentDBClientConfig,
  QueryFilter,
  RoomSnapshot,
  UseEntityMutationReturn,
  UseMutationReturn,
  UseQueryOneReturn,
  UseQueryReturn,
  UseSessionReturn,
} from "./compat-types.ts";
export { db } from "./db.ts";
export { useDelete, useInsert, useUpdate } from "./entity-writes.ts";
export { useAction, useFn, type UseFnOptions, type UseFnReturn } from "./function-calls.ts";
export { useLiveList, useLiveRow, useQueryOneRaw, useQueryRaw, type LiveValue } from "./live.ts";
export { useFunction, type FunctionResult } from "./functions.ts";
export type { JobState, WorkflowState, WorkflowStepState } from "@pylonsync/protocol";
export { useJob, useWorkflow } from "./status.ts";
export {
  useEntityMutation,
  useMutation,
  type EntityMutations,
  type FunctionCalls,
  type MutationOptions,
  type MutationState,
  type OptimisticStore,
  type OptimisticUpdate,
} from "./mutations.ts";
export {
  useInfiniteQuery,
  usePaginatedQuery,
  type EntityInfiniteOptions,
  type IncludingInfiniteOptions,
  type IncludingPaginatedOptions,
  type EntityPaginatedOptions,
  type InfiniteOptions,
  type PaginatedOptions,
  type PaginatedQueryStatus,
  type UseInfiniteQueryReturn,
  type UsePaginatedQueryReturn,
} from "./pages.ts";
export { usePreloadedQuery, type Preloaded } from "./preloaded.ts";
export { EngineProvider, useEngine, type EngineProviderProps } from "./provider.tsx";
export {
  useQuery,
  useQueryOne,
  useStatus,
  type EntityFilter,
  type EntityQueryOptions,
  type IncludingOptions,
  type NameFor,
  type QueryResult,
  type RowResult,
} from "./queries.ts";
export {
  fetchById,
  fetchList,
  insert,
  listFns,
  remove,
  update,
  type FetchListOptions,
  type ListedFn,
  type RequestAs,
} from "./rest.ts";
export { useRoom, type RoomResult, type UseRoomOptions } from "./rooms.ts";
export { safePath } from "./safe-path.ts";
export {
  createSession,
  getAuthContext,
  refreshSession,
  startSessionAutoRefresh,
  type AutoRefreshOptions,
  type SessionToken,
} from "./session-calls.ts";
export {
  useSearch,
  type EntitySearchSpec,
  type SearchHighlight,
  type SearchSpec,
  type UseSearchReturn,
} from "./searches.ts";
export { useSession, type SessionState } from "./session.ts";
export { useShard, type ShardState, type UseShardOptions } from "./shards.ts";
export { connectShard, type ConnectShardOptions, type ShardClient } from "@pylonsync/sync/shards";
export {
  useSuspenseFunction,
  useSuspenseQuery,
  useSuspenseQueryOne,
  type SuspenseFunctionResult,
  type SuspenseQueryResult,
  type SuspenseRowResult,
} from "./suspense.ts";
export {
  createTypedDb,
  type AgentDBSchema,
  type TypedDb,
  type TypedQueryOptions,
} from "./typed-db.ts";
export {
  uploadFile,
  uploadFileMultipart,
  type UploadContent,
  type UploadedFile,
  type UploadOptions,
} from "./uploads.ts";
export { defineRoute, type AppManifest, type CallArgs, type RouteMode } from "@pylonsync/sdk";
export {
  createSyncEngine,
  getServerData,
  LocalStore,
  MutationError,
  MutationQueue,
  PylonClientError,
  SyncEngine,
  type ChangeEvent,
  type HydrationData,
  type PullResponse,
  type QueryOptions,
  type ResolvedSession,
  type RoomPeer,
  type Row,
  type SyncCursor,
  type SyncEngineConfig,
  type SyncStatus,
} from "@pylonsync/sync";
