/**
 * Pylon in client components of the App Router: `PylonProvider`, and the hooks and forms of
 * @pylonsync/react.
 *
 * @module
 */
export { PylonClientError as ApiError } from "@pylonsync/sync";
export { createPylonServer } from "./only-on-server.ts";
export { PylonProvider, type PylonProviderProps } from "./provider.tsx";
export {
  Account,
  callFn,
  db,
  FileInput,
  ForgotPassword,
  OrganizationSwitcher,
  ResetPassword,
  SignIn,
  signOut,
  SignOutButton,
  SignUp,
  streamFn,
  usePreloadedQuery,
  UserButton,
  useRoom,
  useSession,
  useUpload,
  useUser,
  type Preloaded,
  type SessionState,
  type SignInFormProps,
  type UserState,
} from "@pylonsync/react";
