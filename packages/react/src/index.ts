"use client";
/**
 * React hooks over Pylon's client engine.
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
export type { SignInProps } from "./auth/sign-in-flow.ts";
export { SignIn, type SignInFormProps, type SignInMethod } from "./auth/sign-in.tsx";
export { SignOutButton } from "./auth/sign-out-button.tsx";
export { SignUp, type SignUpProps } from "./auth/sign-up.tsx";
export { UserButton, type UserButtonProps } from "./auth/user-button.tsx";
export { useUser, type User, type UserState } from "./auth/user.ts";
export { callFn, streamFn } from "./calls.ts";
export { configureClient, getAppName, getBaseUrl, getEngine, init, storageKey } from "./client.ts";
export { db } from "./db.ts";
export { useFunction, type FunctionResult } from "./functions.ts";
export {
  useEntityMutation,
  useMutation,
  type CallArgs,
  type EntityMutations,
  type FunctionCalls,
  type MutationState,
} from "./mutations.ts";
export { usePreloadedQuery, type Preloaded } from "./preloaded.ts";
export { EngineProvider, useEngine, type EngineProviderProps } from "./provider.tsx";
export {
  useQuery,
  useQueryOne,
  useStatus,
  type EntityFilter,
  type EntityQueryOptions,
  type NameFor,
  type QueryResult,
  type RowResult,
} from "./queries.ts";
export { useRoom, type RoomResult, type UseRoomOptions } from "./rooms.ts";
export { safePath } from "./safe-path.ts";
export { useSession, type SessionState } from "./session.ts";
export { useShard, type ShardState, type UseShardOptions } from "./shards.ts";
export { connectShard, type ConnectShardOptions, type ShardClient } from "@pylonsync/sync/shards";
export {
  createSyncEngine,
  MutationError,
  PylonClientError,
  type QueryOptions,
  type ResolvedSession,
  type SyncEngineConfig,
  type SyncStatus,
} from "@pylonsync/sync";
