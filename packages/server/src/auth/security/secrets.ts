import type { Platform } from "../../platform.ts";
import { sha256 } from "../../util/sha256.ts";

const TOKEN_BYTES = 32;

/**
 * Returns the SHA-256 of a secret, in hex. This is sufficient for secrets of 256 random bits;
 * passwords are hashed in passwords.ts.
 */
export function hashOf(secret: string): string {
  return sha256(secret);
}

/**
 * Returns the id of a row that is found by several texts together. The texts can't be confused with
 * parts of one another.
 */
export function keyOf(...parts: readonly string[]): string {
  return hashOf(JSON.stringify(parts));
}

/** Returns 256 random bits, encoded for use in a URL. */
export function newToken(platform: Platform): string {
  const bytes = new Uint8Array(TOKEN_BYTES);
  platform.random(bytes);
  return Buffer.from(bytes).toString("base64url");
}

/** Compares two hashes of the same length in constant time. */
export function isSameHash(a: string, b: string): boolean {
  return a.length === b.length && crypto.timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
