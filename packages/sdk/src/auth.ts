import type { Claims as UserClaims } from "@pylonsync/query";
import type { MailTemplates } from "./mail.ts";
import type { ManifestAuth } from "./manifest.ts";

type MaybePromise<T> = T | Promise<T>;

/** A sign-up or sign-in event, passed to the hooks of `auth()`. */
export interface AuthEvent {
  /** The row of the user entity. */
  readonly user: { readonly id: string; readonly [field: string]: unknown };
  /** The sign-in method: `password`, `code`, `link`, `oauth:google`, `passkey`, `admin`. */
  readonly method: string;
}

/**
 * Roles and claims that are stored in the user's session, for policies (`auth.roles`,
 * `auth.claims.plan`) and functions (`ctx.auth`).
 */
export interface Claims {
  readonly roles?: readonly string[];
  /** Custom claims: at most 32, and at most 2048 bytes as JSON. */
  readonly claims?: UserClaims;
}

/** Callbacks during sign-up and sign-in. Each hook may be async. */
export interface AuthHooks {
  /** Runs in the transaction that creates the user. Null, false or an error rejects the sign-up. */
  readonly onSignUp?: (event: AuthEvent) => MaybePromise<boolean | null | void>;
  /** Runs before a session is created. Null, false or an error rejects the sign-in. */
  readonly onSignIn?: (event: AuthEvent) => MaybePromise<boolean | null | void>;
  /** Called at each sign-in. The result is stored in the session until the session ends. */
  readonly claims?: (event: AuthEvent) => MaybePromise<Claims>;
}

/**
 * The options of `auth()`: settings for the manifest, and code that is passed to the server
 * separately.
 */
export interface AuthDefinition extends ManifestAuth {
  readonly hooks?: AuthHooks;
  /** Custom email templates, by kind of email. */
  readonly mails?: MailTemplates;
}

/** The code in an `AuthDefinition`: hooks and email templates. */
export interface AuthCode {
  readonly hooks: AuthHooks;
  readonly mails: MailTemplates;
}
