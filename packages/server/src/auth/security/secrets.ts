import type { Platform } from "../../platform.ts";
import { sha256 } from "../../util/sha256.ts";

const TOKEN_BYTES = 32;

/**
 * The SHA-256 of a secret, in hex. Enough for secrets of 256 random bits; passwords are hashed in
 * passwords.ts.
 */
export function hashOf(secret: string): string {
  return sha256(secret);
}

/**
 * The id of a row that is found by several texts together. None of them can be mistaken for part of
 * another.
 */
export function keyOf(...parts: readonly string[]): string {
  return hashOf(JSON.stringify(parts));
}

/** 256 random bits that fit into a URL. */
export function newToken(platform: Platform): string {
  const bytes = new Uint8Array(TOKEN_BYTES);
  platform.random(bytes);
  return Buffer.from(bytes).toString("base64url");
}

/** Compares two hashes of one length in a time that does not depend on them. */
export function isSameHash(a: string, b: string): boolean {
  return a.length === b.length && crypto.timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
