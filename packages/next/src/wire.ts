/** Who sent a request, as `GET /api/auth/me` answers it. */
export interface Session {
  readonly user_id: string | null;
  readonly is_admin: boolean;
  readonly roles: readonly string[];
  readonly is_guest?: boolean;
  readonly tenant_id?: string;
}

/** A provider that users may sign in with. */
export interface OAuthProvider {
  /** Such as `google`. */
  readonly provider: string;
  /** Where a sign-in starts, on the Pylon server. */
  readonly auth_url: string;
}
