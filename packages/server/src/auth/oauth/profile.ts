/** What a provider says of the person who signed in. */
export interface OAuthProfile {
  /** The person's id at the provider: it never changes and is never given to another. */
  readonly id: string;
  readonly email?: string | undefined;
  /**
   * The provider itself has proved that the person reads the mail of this address. Only then may it
   * join accounts.
   */
  readonly emailVerified: boolean;
  readonly name?: string | undefined;
  /** A URL. */
  readonly avatar?: string | undefined;
}

/** What was fetched to read a profile from. All of it comes from outside. */
export interface ProfileSources {
  /** Claims of the validated id_token, and of the userinfo endpoint where the provider has one. */
  readonly claims: unknown;
  /** The answer of the provider's own profile endpoint. */
  readonly user: unknown;
  /** The answer of its endpoint for e-mail addresses, where that is another one. */
  readonly emails: unknown;
  /** What came along with the code, as Apple's name of the user does. */
  readonly form: unknown;
}

/** Null where the answer has no id. */
export type ReadProfile = (sources: ProfileSources) => OAuthProfile | null;
