/** The caller of a request, as returned by `GET /api/auth/me`. */
export interface Session {
  readonly user_id: string | null;
  readonly is_admin: boolean;
  readonly roles: readonly string[];
  readonly is_guest?: boolean;
  readonly tenant_id?: string;
}

/** An OAuth provider for sign-in. */
export interface OAuthProvider {
  /** For example `google`. */
  readonly provider: string;
  /** The URL on the Pylon server that starts a sign-in. */
  readonly auth_url: string;
}
