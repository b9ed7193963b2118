import type { MailTemplates } from "./mail.ts";
import type { ManifestAuth } from "./manifest.ts";

type MaybePromise<T> = T | Promise<T>;

/** A sign-up or sign-in, as the hooks of `auth()` see it. */
export interface AuthEvent {
  /** The row of the user entity. */
  readonly user: { readonly id: string; readonly [field: string]: unknown };
  /** How: `password`, `code`, `link`, `oauth:google`, `passkey`, `admin`. */
  readonly method: string;
}

/**
 * What a session says of its user, for policies (`auth.roles`) and functions (`ctx.auth.roles`).
 */
export interface Claims {
  readonly roles?: readonly string[];
}

/** The app's own code in sign-up and sign-in. Each hook may be async. */
export interface AuthHooks {
  /** Runs in the transaction that makes the user. Null, false or an error refuses the sign-up. */
  readonly onSignUp?: (event: AuthEvent) => MaybePromise<boolean | null | void>;
  /** Runs before a session is made. Null, false or an error refuses the sign-in. */
  readonly onSignIn?: (event: AuthEvent) => MaybePromise<boolean | null | void>;
  /** Asked at each sign-in; the answer is part of the session until it ends. */
  readonly claims?: (event: AuthEvent) => MaybePromise<Claims>;
}

/** What `auth()` takes: the part of the manifest, and code that travels beside it. */
export interface AuthDefinition extends ManifestAuth {
  readonly hooks?: AuthHooks;
  /** Mails in the app's own words, by kind. */
  readonly mails?: MailTemplates;
}

/** The code of an `AuthDefinition`. */
export interface AuthCode {
  readonly hooks: AuthHooks;
  readonly mails: MailTemplates;
}
