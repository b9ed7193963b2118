import type { Store } from "../store/store.ts";
import type { Platform } from "../platform.ts";
import type { ApiKeys } from "./api-keys/api-keys.ts";
import type { AttemptLimits } from "./security/attempt-limits.ts";
import type { AuditLog } from "./security/audit.ts";
import type { AuthMails } from "./email-sign-in/auth-mails.ts";
import type { AuthSettings } from "./security/auth-settings.ts";
import type { Credentials } from "./security/credentials.ts";
import type { GuestUpgrade } from "./users/guest-upgrade.ts";
import type { OneTimeCodes } from "./security/one-time-codes.ts";
import type { OneTimeTokens } from "./security/one-time-tokens.ts";
import type { Passwords } from "./passwords/passwords.ts";
import type { PendingSignUps } from "./passwords/pending-sign-ups.ts";
import type { SessionCookie } from "./sessions/session-cookie.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { SignIn } from "./sign-in/sign-in.ts";
import type { SignInOutcomes } from "./sign-in/sign-in-outcomes.ts";
import type { Users } from "./users/users.ts";

/** The services that every sign-in method receives. */
export interface AuthServices {
  readonly store: Store;
  readonly platform: Platform;
  readonly users: Users;
  readonly sessions: Sessions;
  readonly guests: GuestUpgrade;
  readonly cookie: SessionCookie;
  readonly signIn: SignIn;
  readonly outcomes: SignInOutcomes;
  readonly tokens: OneTimeTokens;
  readonly codes: OneTimeCodes;
  readonly signUps: PendingSignUps;
  readonly attempts: AttemptLimits;
  readonly passwords: Passwords;
  /** All credentials of users, of every kind. */
  readonly credentials: Credentials;
  readonly apiKeys: ApiKeys;
  readonly audit: AuditLog;
  readonly mails: AuthMails;
  readonly settings: AuthSettings;
}
