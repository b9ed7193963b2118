import { MAX_CLAIMS, MAX_CLAIMS_BYTES, PylonError } from "@pylonsync/protocol";
import type { Claims, ClaimValue } from "@pylonsync/query";
import { isRecord } from "../util/is-record.ts";

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

/**
 * Checks claims that were received from outside.
 *
 * @param field their name in messages
 * @throws PylonError INVALID_DATA with the `field`
 */
export function checkClaims(given: unknown, field = "claims"): Claims {
  if (!isRecord(given))
    throw invalid(field, "Claims must be an object of names and values.", 'Send {"plan": "pro"}.');
  const entries = Object.entries(given);
  if (entries.length > MAX_CLAIMS)
    throw invalid(
      field,
      `A user may have at most ${MAX_CLAIMS} claims.`,
      "Store the rest in a row.",
    );
  const claims = Object.fromEntries(
    entries.map(([name, value]) => {
      const at = `${field}.${name.slice(0, 80)}`;
      if (!NAME.test(name))
        throw invalid(
          at,
          `"${name.slice(0, 80)}" is not a valid name for a claim.`,
          "Use at most 64 letters, digits and underscores, starting with a letter.",
        );
      return [name, checkValue(value, at)] as const;
    }),
  );
  if (new TextEncoder().encode(JSON.stringify(claims)).length > MAX_CLAIMS_BYTES)
    throw invalid(
      field,
      `The claims of a user may have at most ${MAX_CLAIMS_BYTES} bytes.`,
      "Store large values in a row, and check them with exists().",
    );
  return claims;
}

function checkValue(value: unknown, at: string): ClaimValue {
  if (isPlain(value)) return value;
  if (Array.isArray(value) && value.every(isPlain)) return value;
  throw invalid(at, "A claim must be a string, a number, true, false, or a list of these.");
}

function isPlain(value: unknown): value is string | number | boolean {
  return (
    typeof value === "string" ||
    typeof value === "boolean" ||
    (typeof value === "number" && Number.isFinite(value))
  );
}

function invalid(field: string, message: string, hint = "Omit the claim."): PylonError {
  return new PylonError("INVALID_DATA", message, { field, hint });
}
