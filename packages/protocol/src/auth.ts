import {
  anyOf,
  arrayOf,
  isBoolean,
  isNumber,
  isString,
  objectOf,
  oneOf,
  type Guarded,
} from "./guard.ts";

/** The caller, as `GET /api/auth/me` returns it. False flags and missing values are omitted. */
export const isAuthContext = /* @__PURE__ */ objectOf(
  {
    user_id: anyOf(isString, oneOf(null)),
    is_admin: isBoolean,
    roles: arrayOf(isString),
  },
  {
    is_guest: isBoolean,
    tenant_id: isString,
    api_key_id: isString,
    api_key_scopes: arrayOf(isString),
    is_trusted_device: isBoolean,
    /** False if the sent token is unknown, expired or revoked; otherwise absent. */
    token_valid: oneOf(false),
  },
);
/** See isAuthContext. Clients other than ours also receive the user's claims. */
export type AuthContext = Guarded<typeof isAuthContext> & {
  readonly claims?: Readonly<Record<string, unknown>>;
};

/** The response of every sign-in method. `expires_at` is in seconds since 1970. */
export const isSignedIn = /* @__PURE__ */ objectOf(
  { token: isString, user_id: isString },
  { expires_at: isNumber },
);

/** The response of a sign-up that waits for an emailed code. */
export const isWaitingSignUp = /* @__PURE__ */ objectOf(
  { verification_required: oneOf(true) },
  { sign_up_token: isString },
);

/** The response of `POST /api/auth/guest`. */
export const isGuestSession = /* @__PURE__ */ objectOf({
  token: isString,
  user_id: isString,
  guest: oneOf(true),
});
/** See isGuestSession. */
export type GuestSession = Guarded<typeof isGuestSession>;
