import * as v from "valibot";

/**
 * Who is calling, as `GET /api/auth/me` answers it. Flags that are false and values that are absent
 * are left out.
 */
export const AuthContextSchema = v.object({
  user_id: v.nullable(v.string()),
  is_admin: v.boolean(),
  is_guest: v.optional(v.boolean()),
  roles: v.array(v.string()),
  tenant_id: v.optional(v.string()),
  api_key_id: v.optional(v.string()),
  api_key_scopes: v.optional(v.array(v.string())),
  is_trusted_device: v.optional(v.boolean()),
  /** False where a token was sent that is unknown, expired or revoked; absent otherwise. */
  token_valid: v.optional(v.literal(false)),
});
/** See AuthContextSchema. */
export type AuthContext = v.InferOutput<typeof AuthContextSchema>;

/** Answer of every way of signing in. `expires_at` is in seconds since 1970. */
export const SignedInSchema = v.object({
  token: v.string(),
  user_id: v.string(),
  expires_at: v.optional(v.number()),
});

/** Answer of `POST /api/auth/guest`. */
export const GuestSessionSchema = v.object({
  token: v.string(),
  user_id: v.string(),
  guest: v.literal(true),
});
/** See GuestSessionSchema. */
export type GuestSession = v.InferOutput<typeof GuestSessionSchema>;
