import { PylonError } from "@pylonsync/protocol";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import { checkClaims } from "../identity/claims.ts";
import { isRecord } from "../util/is-record.ts";

/**
 * Returns the caller whose permissions `ctx.db.as` and the admin's `as` use.
 *
 * @param given a user's id, or an identity such as `ctx.auth`
 * @throws PylonError INVALID_ARGS
 */
export function actingCaller(given: unknown): Caller {
  if (typeof given === "string" && given !== "") return { ...ANONYMOUS, userId: given };
  if (!isRecord(given)) throw invalid("a user's id or an identity such as ctx.auth", "user");
  const { userId, isAdmin = false, isGuest = false, tenantId = null, roles = [], claims } = given;
  if (!isTextOrNull(userId)) throw invalid("a userId that is a string or null", "userId");
  if (!isTextOrNull(tenantId)) throw invalid("a tenantId that is a string or null", "tenantId");
  if (typeof isAdmin !== "boolean") throw invalid("an isAdmin that is true or false", "isAdmin");
  if (typeof isGuest !== "boolean") throw invalid("an isGuest that is true or false", "isGuest");
  if (!isTexts(roles)) throw invalid("roles that are a list of strings", "roles");
  const caller = { ...ANONYMOUS, userId, isAdmin, isGuest, tenantId, roles };
  return claims === undefined ? caller : { ...caller, claims: checkClaims(claims) };
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || (typeof value === "string" && value !== "");
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function invalid(wanted: string, field: string): PylonError {
  return new PylonError("INVALID_ARGS", `ctx.db.as requires ${wanted}.`, { field });
}
