import type { Store } from "../store/store.ts";
import type { Platform } from "../platform.ts";
import type { ApiKeys } from "./api-keys/api-keys.ts";
import type { AttemptLimits } from "./attempt-limits.ts";
import type { AuditLog } from "./audit.ts";
import type { AuthMails } from "./auth-mails.ts";
import type { AuthSettings } from "./auth-settings.ts";
import type { Credentials } from "./credentials.ts";
import type { GuestUpgrade } from "./guest-upgrade.ts";
import type { OneTimeCodes } from "./one-time-codes.ts";
import type { OneTimeTokens } from "./one-time-tokens.ts";
import type { Passwords } from "./passwords.ts";
import type { PendingSignUps } from "./pending-sign-ups.ts";
import type { SessionCookie } from "./session-cookie.ts";
import type { Sessions } from "./sessions.ts";
import type { SignIn } from "./sign-in.ts";
import type { SignInOutcomes } from "./sign-in-outcomes.ts";
import type { Users } from "./users.ts";

/** What every way of signing in is given. */
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
  /** All that users prove themselves with, of whatever kind. */
  readonly credentials: Credentials;
  readonly apiKeys: ApiKeys;
  readonly audit: AuditLog;
  readonly mails: AuthMails;
  readonly settings: AuthSettings;
}
