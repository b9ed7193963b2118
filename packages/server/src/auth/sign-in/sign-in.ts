import { PylonError } from "@pylonsync/protocol";
import type { AuthHooks, Claims } from "@pylonsync/sdk";
import { checkClaims } from "../../identity/claims.ts";
import type { RequestContext } from "../../request/context.ts";
import { deviceOf, type AuditLog } from "../security/audit.ts";
import type { AuthSettings } from "../security/auth-settings.ts";
import type { GuestUpgrade } from "../users/guest-upgrade.ts";
import { tokenPurpose, type OneTimeTokens } from "../security/one-time-tokens.ts";
import type { SessionCookie } from "../sessions/session-cookie.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { SignedIn } from "../sessions/signed-in.ts";
import type { Users } from "../users/users.ts";

/** The app can't claim roles of the selected organization. */
const TENANT_ROLE = "org:";
const PENDING_MS = 5 * 60_000;

/** Who signs in, and with which proof. */
export interface SignInOptions {
  readonly userId: string;
  /** The kind of proof: `password`, `code`, `link`, `oauth:google`, `passkey`. */
  readonly method: string;
  /** Whether the method counts as two factors, like a passkey with user verification. */
  readonly isStrong?: boolean;
  /**
   * From `sessions.epochOf`, called before the proof was read. Omitted if the proof can't have been
   * revoked, such as a mail that was just read.
   */
  readonly epoch?: string;
}

/** The check for a second factor. */
export interface SecondFactor {
  /** Returns the user's factors, such as `totp`; without any, no second factor is required. */
  methodsOf(userId: string): Promise<readonly string[]>;
  /** Whether the request comes from a device that the user trusts. */
  isTrusted(context: RequestContext, userId: string): Promise<boolean>;
  /** Removes all trusted devices of the user. */
  forgetTrustedDevices(userId: string): Promise<void>;
}

interface Pending {
  readonly userId: string;
  readonly method: string;
  readonly epoch: string;
}

const PENDING = tokenPurpose<Pending>("second factor");

/** The dependencies of sign-in. */
export interface SignInServices {
  readonly secondFactor: SecondFactor;
  readonly users: Users;
  readonly sessions: Sessions;
  readonly tokens: OneTimeTokens;
  readonly audit: AuditLog;
  readonly cookie: SessionCookie;
  readonly guests: GuestUpgrade;
  readonly settings: AuthSettings;
  readonly hooks: () => AuthHooks;
  readonly now: () => number;
}

/**
 * The single path of all sign-ins: every proof of identity ends here, where the second factor is
 * required and the session is created.
 */
export class SignIn {
  readonly #services: SignInServices;
  readonly secondFactor: SecondFactor;

  constructor(services: SignInServices) {
    this.#services = services;
    this.secondFactor = services.secondFactor;
  }

  /**
   * Signs in a user who has proved their identity.
   *
   * @throws PylonError MFA_REQUIRED with `mfa_token` and `methods`, SIGN_IN_REFUSED, UNAUTHORIZED
   *   when the user no longer exists, or all of its sessions were revoked in the meantime
   */
  async complete(
    context: RequestContext,
    { userId, method, isStrong = false, epoch: given }: SignInOptions,
  ): Promise<SignedIn> {
    const epoch = given ?? (await this.#services.sessions.epochOf(userId));
    const isTrustedDevice = await this.secondFactor.isTrusted(context, userId);
    const methods = isStrong || isTrustedDevice ? [] : await this.secondFactor.methodsOf(userId);
    if (methods.length === 0)
      return this.#finish(context, { userId, method, epoch }, isTrustedDevice);
    const pending: Pending = { userId, method, epoch };
    const mfaToken = await this.#services.tokens.issue(PENDING, pending, PENDING_MS);
    throw new PylonError("MFA_REQUIRED", "A second factor is required.", {
      hint: "Send {mfa_token, code} to POST /api/auth/totp/verify.",
      extra: { mfa_token: mfaToken, methods },
    });
  }

  /** Returns the user whose sign-in waits for a second factor, or null. */
  async pendingUser(mfaToken: string): Promise<string | null> {
    return (await this.#services.tokens.peek(PENDING, mfaToken))?.userId ?? null;
  }

  /** Continues a sign-in after its second factor was entered. @throws PylonError INVALID_TOKEN */
  async resume(
    context: RequestContext,
    mfaToken: string,
    options: { readonly isTrustedDevice?: boolean } = {},
  ): Promise<SignedIn> {
    const pending = await this.#services.tokens.take(PENDING, mfaToken);
    if (pending === null)
      throw new PylonError("INVALID_TOKEN", "This sign-in has ended or expired.", {
        field: "mfa_token",
        hint: "Sign in again.",
      });
    return this.#finish(context, pending, options.isTrustedDevice ?? false);
  }

  /**
   * Gives a session a new token. The app's claims of the user are evaluated again, so that a
   * revoked role is lost at this point at the latest.
   *
   * @throws PylonError AUTH_REQUIRED when the session has ended
   */
  async refresh(sessionId: string): Promise<SignedIn> {
    const { users, sessions, cookie, settings, hooks, now } = this.#services;
    const session = await sessions.get(sessionId);
    const { claims } = hooks();
    const user =
      session === null || session.isGuest || claims === undefined || !users.isDeclared
        ? null
        : await users.get(session.userId);
    const claimed =
      user === null || claims === undefined
        ? null
        : checked(await claims({ user: users.view(user), method: "refresh" }));
    const lifetimeMs = settings.sessionLifetimeMs();
    const rotated = await sessions.rotate(sessionId, lifetimeMs, ({ roles }) =>
      claimed === null
        ? {}
        : {
            roles: [...claimed.roles, ...roles.filter((role) => role.startsWith(TENANT_ROLE))],
            claims: claimed.claims,
          },
    );
    if (rotated === null)
      throw new PylonError("AUTH_REQUIRED", "There is no session to refresh.", {
        hint: "Sign in.",
      });
    return {
      ...rotated,
      expiresAt: now() + lifetimeMs,
      cookies: [cookie.keep(rotated.token, lifetimeMs)],
    };
  }

  /** Returns the guest that becomes the new user. */
  guestOf({ caller }: RequestContext): string | undefined {
    return caller.isGuest && caller.userId !== null ? caller.userId : undefined;
  }

  async #finish(
    context: RequestContext,
    { userId, method, epoch }: Pending,
    isTrustedDevice: boolean,
  ): Promise<SignedIn> {
    const { users, sessions, guests, audit, cookie, settings, hooks, now } = this.#services;
    const user = await users.get(userId);
    if (user === null) throw new PylonError("UNAUTHORIZED", "This user no longer exists.");
    const event = { user: users.view(user), method };
    const verdict = await hooks().onSignIn?.(event);
    if (verdict === null || verdict === false)
      throw new PylonError("SIGN_IN_REFUSED", "The app rejected the sign-in.");
    const { roles, claims } = checked(await hooks().claims?.(event));
    const guestId = this.guestOf(context);
    // A guest that has just become this user keeps its data, so there is nothing to hand over.
    if (guestId !== undefined && guestId !== userId)
      await guests.transferRows(guestId, userId, users.entity.name);
    const lifetimeMs = settings.sessionLifetimeMs();
    const token = await sessions.create(userId, {
      isGuest: false,
      lifetimeMs,
      roles,
      claims,
      isTrustedDevice,
      epoch,
      device: deviceOf(context),
    });
    await audit.record(context, "sign-in", { userId, detail: { method } });
    return {
      token,
      userId,
      expiresAt: now() + lifetimeMs,
      cookies: [cookie.keep(token, lifetimeMs)],
    };
  }
}

/** Checks the app's claims. @throws Error for claims that can't be stored: a bug of the app */
function checked(said: Claims | undefined): Required<Claims> {
  const { roles = [], claims = {} } = said ?? {};
  try {
    return { roles, claims: checkClaims(claims) };
  } catch (error) {
    throw new Error("The claims hook of auth() returned invalid claims.", {
      cause: error,
    });
  }
}
