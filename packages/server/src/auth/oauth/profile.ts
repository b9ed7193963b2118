/** What a provider returns about the person who signed in. */
export interface OAuthProfile {
  /** The person's id at the provider: it never changes and is never reassigned. */
  readonly id: string;
  readonly email?: string | undefined;
  /**
   * Whether the provider itself has verified that the person receives mail at this address. Only
   * then may it join accounts.
   */
  readonly emailVerified: boolean;
  readonly name?: string | undefined;
  /** A URL. */
  readonly avatar?: string | undefined;
}

/** The responses that a profile is read from. All of them are untrusted. */
export interface ProfileSources {
  /** Claims of the validated id_token, and of the userinfo endpoint if the provider has one. */
  readonly claims: unknown;
  /** The response of the provider's own profile endpoint. */
  readonly user: unknown;
  /** The response of its endpoint for email addresses, if that is a separate one. */
  readonly emails: unknown;
  /** What was sent along with the code, such as the user's name by Apple. */
  readonly form: unknown;
}

/** Returns null if the response has no id. */
export type ReadProfile = (sources: ProfileSources) => OAuthProfile | null;
